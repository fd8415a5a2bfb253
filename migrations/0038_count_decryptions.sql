-- Owners can see what the worker decrypted: addresses and names, counted by day and purpose.

CREATE TABLE decryption (
  letter integer NOT NULL,              -- 0: about no letter
  day date NOT NULL,                    -- in UTC
  purpose text NOT NULL CHECK (purpose ~ '^[a-z_]{2,40}$'),
  content text NOT NULL CHECK (content IN ('address', 'name')),
  uses bigint NOT NULL CHECK (uses > 0),
  PRIMARY KEY (letter, day, purpose, content)
);
CREATE INDEX decryption_day ON decryption (day);
