-- Owners can see who read or exported names, who signed in and how, and what failed: counts by hour, without addresses.

CREATE TABLE access_journal (
  hour timestamptz NOT NULL,
  kind text NOT NULL CHECK (kind ~ '^[a-z_.]{2,40}$'),
  organizer integer NOT NULL DEFAULT 0, -- 0: unknown, or a stranger
  letter integer NOT NULL DEFAULT 0,    -- 0: about no letter
  uses integer NOT NULL CHECK (uses > 0),
  PRIMARY KEY (hour, kind, organizer, letter)
);
CREATE INDEX access_journal_letter ON access_journal (letter, hour);
CREATE INDEX access_journal_organizer ON access_journal (organizer, hour);
