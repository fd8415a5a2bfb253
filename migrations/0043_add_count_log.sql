-- The count can be checked from outside: each letter has an append-only log of what moves its count.

-- ``size`` entries are in the log, whose right edge, count and signed checkpoint these are.
CREATE TABLE count_log (
  letter integer PRIMARY KEY REFERENCES letter ON DELETE CASCADE,
  wrapped_receipt_key bytea NOT NULL, -- encrypted under SECRET_KEY; receipts are derived from it, none is stored
  size bigint NOT NULL DEFAULT 0,
  edge bytea NOT NULL DEFAULT '',
  people bigint NOT NULL DEFAULT 0,
  organizations bigint NOT NULL DEFAULT 0,
  imported bigint NOT NULL DEFAULT 0,
  checkpoint text NOT NULL DEFAULT '',
  signed_at timestamptz,
  begun_at timestamptz NOT NULL DEFAULT now(),
  compared_at timestamptz -- with the rows of all that counts, to add what an older version counted
);

-- 256 entries a row, as they are served. Tiles of level 0 are their hashes, and are not stored.
CREATE TABLE count_log_bundle (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  number integer NOT NULL,
  entries bytea NOT NULL,
  prefixes integer[], -- the first four bytes of each entry's token, once the bundle is full
  PRIMARY KEY (letter, number)
);
ALTER TABLE count_log_bundle ALTER COLUMN entries SET STORAGE EXTERNAL;
CREATE INDEX count_log_bundle_prefixes ON count_log_bundle USING gin (prefixes);

CREATE TABLE count_log_tile (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  level smallint NOT NULL CHECK (level > 0),
  number integer NOT NULL,
  hashes bytea NOT NULL,
  PRIMARY KEY (letter, level, number)
);
ALTER TABLE count_log_tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- Written by the transaction that counts, taken into the log by the worker. Without a foreign key, which would cost as
-- much as the row: counting holds the letter.
CREATE TABLE count_log_queue (
  letter integer NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  kind smallint NOT NULL,
  subject bigint NOT NULL, -- the signature, organization, import or tally; 0 with a token
  token bytea,             -- where the subject is not known any more
  number bigint NOT NULL,  -- negative if so many no longer count
  exit smallint NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (letter, id)
);

-- A checkpoint and what a time-stamping authority (RFC 3161) has signed of it.
CREATE TABLE count_log_stamp (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  authority text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  size bigint NOT NULL,
  checkpoint text NOT NULL,
  response bytea NOT NULL,
  PRIMARY KEY (letter, authority, at)
);

-- What counts already. What old processes count until they are restarted, the worker adds.
INSERT INTO count_log_queue (letter, kind, subject, number, exit)
SELECT letter, 1, id, 1, 0 FROM signature WHERE state = 'confirmed' AND kind = 'person' AND import IS NULL
UNION ALL
SELECT letter, CASE WHEN bool_or(import IS NOT NULL) THEN 3 ELSE 2 END, organization, 1, 0 FROM signature
WHERE state = 'confirmed' AND kind = 'organization' AND organization IS NOT NULL GROUP BY letter, organization
UNION ALL
SELECT letter, 4, import, count(*), 0 FROM signature
WHERE state = 'confirmed' AND kind = 'person' AND import IS NOT NULL GROUP BY letter, import
UNION ALL
SELECT letter, 5, id, people, 0 FROM tally WHERE ended_at IS NULL AND people > 0;
