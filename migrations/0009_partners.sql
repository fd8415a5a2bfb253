-- Partners: sites that lead people to a letter under a name of their own, and how many of those have signed.

CREATE TABLE partner (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  id integer GENERATED ALWAYS AS IDENTITY,
  name text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9-]{1,31}$'), -- in addresses: ?from=name; never changes
  title text NOT NULL CHECK (length(title) BETWEEN 1 AND 120),   -- for people
  in_api boolean NOT NULL DEFAULT false,                         -- may anyone read its count?
  created_at timestamptz NOT NULL DEFAULT now(),
  retired_at timestamptz,                                        -- from then on its name is like any other word
  PRIMARY KEY (letter, id),
  UNIQUE (letter, name)
);

-- Confirmed signatures that came by a partner, moved in the transaction that moves the count, just before it. The row
-- is made with the partner, so that counting only ever updates.
CREATE TABLE count_partner (
  letter integer NOT NULL,
  partner integer NOT NULL,
  people bigint NOT NULL DEFAULT 0 CHECK (people >= 0),
  representatives bigint NOT NULL DEFAULT 0 CHECK (representatives >= 0),
  PRIMARY KEY (letter, partner),
  FOREIGN KEY (letter, partner) REFERENCES partner (letter, id) ON DELETE CASCADE
);
