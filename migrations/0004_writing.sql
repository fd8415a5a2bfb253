-- Writing at the desk: drafts that several people write at once, sharing texts and pictures, goals that rise, preview links.

-- What the goal rises to once it has been reached, in order.
ALTER TABLE letter ADD COLUMN next_goals integer[] NOT NULL DEFAULT '{}';

-- Pictures for sharing. The id is made of the content, so that the same picture is the same row.
CREATE TABLE picture (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  id bigint NOT NULL CHECK (id > 0),
  type text NOT NULL CHECK (type IN ('image/jpeg', 'image/png', 'image/webp')),
  content bytea NOT NULL CHECK (length(content) <= 1048576),
  PRIMARY KEY (letter, id)
);

-- What readers pass on with the address, per language; what a draft has instead stands in edit until it is published.
CREATE TABLE sharing (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  lang text NOT NULL,
  text text NOT NULL,
  alt text NOT NULL,
  picture bigint,
  PRIMARY KEY (letter, lang),
  FOREIGN KEY (letter, picture) REFERENCES picture (letter, id)
);

-- Who touched a field of the draft last, and when. value: what readers will see in its place once it is published; null
-- where the draft says what they see now, and for titles and texts, whose draft is the table translation.
CREATE TABLE edit (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  field text NOT NULL CHECK (field ~ '^[a-z_]{2,30}([.][A-Za-z_]{2,6})?$'),
  value text,
  at timestamptz NOT NULL DEFAULT now(),
  organizer integer REFERENCES organizer ON DELETE SET NULL,
  PRIMARY KEY (letter, field)
);
CREATE INDEX edit_organizer ON edit (organizer) WHERE organizer IS NOT NULL;

-- The one address under which people outside may see the draft. Its token names this row; without it, it opens nothing.
CREATE TABLE preview_link (
  id bigint PRIMARY KEY,          -- random
  letter integer NOT NULL UNIQUE REFERENCES letter ON DELETE CASCADE,
  until_published boolean NOT NULL,
  made_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL
);
CREATE INDEX preview_link_expires_at ON preview_link (expires_at);
