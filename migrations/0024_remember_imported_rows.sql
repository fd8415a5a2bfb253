-- Imports answer by the files that were brought, never by who has signed: remember every row of each; encrypt what was undone.

-- The keys of all rows that an import took, also of those whose mailbox had signed and which it dropped in silence: a
-- second trial of the file must not show which these were.
CREATE TABLE import_row (
  letter integer NOT NULL,
  import_key bytea NOT NULL,
  number integer NOT NULL,
  PRIMARY KEY (letter, import_key, number),
  FOREIGN KEY (letter, number) REFERENCES intake (letter, number) ON DELETE CASCADE
);
CREATE INDEX import_row_number ON import_row (letter, number);

INSERT INTO import_row (letter, import_key, number)
SELECT s.letter, s.import_key, s.import FROM signature s
JOIN intake i ON i.letter = s.letter AND i.number = s.import WHERE s.import_key IS NOT NULL;
INSERT INTO import_row (letter, import_key, number)
SELECT u.letter, decode(substr(u.fields ->> 'import_key', 3), 'hex'), u.number FROM undone u
WHERE u.fields ->> 'import_key' IS NOT NULL ON CONFLICT DO NOTHING;

-- Earlier reports say how many mailboxes had signed or were removed. A trial that waits is made again.
UPDATE intake SET report = report - 'known' - 'barred' - 'rows' WHERE report IS NOT NULL AND state <> 'checked';
UPDATE intake SET state = 'checking', report = NULL, notes = NULL, changed = changed + 1 WHERE state = 'checked';

-- What was started before the rules on mailboxes goes on.
UPDATE intake SET plan = plan || '{"mailboxes": true}' WHERE state = 'importing' AND plan IS NOT NULL;

-- sealed: the row and its organization as JSON, encrypted under the letter's name key. The worker encrypts older rows
-- within a minute, and from then on the two columns in the clear stay empty.
ALTER TABLE undone ADD COLUMN sealed bytea, ALTER COLUMN fields DROP NOT NULL,
  ADD CHECK ((sealed IS NULL) <> (fields IS NULL)), ADD CHECK (sealed IS NULL OR organization IS NULL);
CREATE INDEX undone_in_the_clear ON undone (letter) WHERE fields IS NOT NULL;
