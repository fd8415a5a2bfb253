-- Imports: more formats, names of files, what was left out, rows to repair, mappings that are kept under a name.

ALTER TABLE intake DROP CONSTRAINT intake_format_check;
ALTER TABLE intake ADD CONSTRAINT intake_format_check CHECK (format IN ('csv', 'xlsx', 'xls', 'ods', 'html'));

-- The file's name, encrypted under the letter's name key. It stays when the file is deleted, or nobody knows which
-- import was which.
ALTER TABLE intake ADD COLUMN file bytea;

-- What was left out or put right, by kind: counts and line numbers, never what stands in a cell.
ALTER TABLE intake ADD COLUMN notes jsonb;

-- The whole row, encrypted under the letter's name key, so that it can be repaired and sent in. Line 0 is the header.
ALTER TABLE intake_problem ADD COLUMN cells bytea;

-- What the columns and values of files with one header mean. The header and the values are encrypted under the letter's
-- name key; the digest finds them.
CREATE TABLE import_mapping (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  id integer GENERATED ALWAYS AS IDENTITY,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
  header_digest bytea NOT NULL,
  fields bytea NOT NULL,
  organizer integer REFERENCES organizer ON DELETE SET NULL,
  saved_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (letter, id),
  UNIQUE (letter, name)
);

-- Encrypted names are searched by decrypting the newest of them.
CREATE INDEX signature_private ON signature (letter, listed_at, id) WHERE private IS NOT NULL;
