-- How far names have been looked at, which suppressions have been carried out, what a used challenge stood under.

-- The worker looks for one name again and again over the whole letter, a few names at a time: this is how far it has
-- come among those who signed here (listed_at, signature) and among the imported ones (import, imported).
CREATE TABLE name_look (
  letter integer PRIMARY KEY REFERENCES letter ON DELETE CASCADE,
  listed_at timestamptz NOT NULL DEFAULT '-infinity',
  signature bigint NOT NULL DEFAULT 0,
  import integer NOT NULL DEFAULT 0,
  imported bigint NOT NULL DEFAULT 0
);
CREATE INDEX signature_by_import ON signature (letter, import, id) WHERE import IS NOT NULL;

-- Who acted without being an organizer: the worker, or somebody at the command line.
ALTER TABLE log ADD COLUMN command boolean NOT NULL DEFAULT false;

-- When the worker last went through the kept addresses for this one; null: not yet.
ALTER TABLE suppressed ADD COLUMN swept_at timestamptz;
CREATE INDEX suppressed_unswept ON suppressed (since) WHERE swept_at IS NULL;

-- A digest, under a key of the day, of the form that used the challenge up: the same form once more (a button pressed
-- twice) is answered as the first time.
ALTER TABLE used_challenge ADD COLUMN form bytea;
