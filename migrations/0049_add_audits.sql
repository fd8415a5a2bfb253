-- An auditor asks signatories, drawn by public randomness, whether they signed; the result bounds what is not true.

-- Sees nothing of a letter but its audits. The lowest, so that no other role is lost to it.
ALTER TYPE desk_role ADD VALUE IF NOT EXISTS 'auditor' BEFORE 'viewer';

-- Addresses of signatories who agreed to be asked.
ALTER TABLE contact DROP CONSTRAINT contact_purpose_check;
ALTER TABLE contact ADD CONSTRAINT contact_purpose_check CHECK (purpose IN ('updates', 'representative', 'audit'));
CREATE INDEX contact_audit ON contact (letter, signature) WHERE purpose = 'audit';

-- Whose signature does not count any more is not asked about it.
CREATE OR REPLACE FUNCTION follow_signature() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE contact SET since = CASE WHEN NEW.state = 'confirmed' THEN now() END, added_in = pg_current_xact_id()
  WHERE letter = NEW.letter AND signature = NEW.id AND purpose = 'updates'
    AND (since IS NULL) = (NEW.state = 'confirmed');
  IF NEW.state IN ('removed', 'withdrawn') THEN
    DELETE FROM contact WHERE letter = NEW.letter AND signature = NEW.id AND purpose = 'audit';
  END IF;
  RETURN NULL;
END
$$;

-- By whom signatories may agree to be asked: a public name. Without a row no one is asked to agree.
CREATE TABLE auditor (
  letter integer PRIMARY KEY REFERENCES letter ON DELETE CASCADE,
  name text NOT NULL CHECK (length(name) BETWEEN 2 AND 120),
  since timestamptz NOT NULL DEFAULT now()
);

-- All that were announced stay, those that were given up as well: no one can draw until the result pleases.
CREATE TABLE audit (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  number integer NOT NULL CHECK (number > 0),
  state text NOT NULL DEFAULT 'preparing'
    CHECK (state IN ('preparing', 'announced', 'drawing', 'asking', 'done', 'abandoned')),
  reason text CHECK (reason IN ('owner', 'auditor', 'few', 'late', 'sensitive', 'burnt')),
  auditor text NOT NULL CHECK (length(auditor) BETWEEN 2 AND 120), -- the public name at that time
  organizer integer REFERENCES organizer ON DELETE SET NULL,       -- the auditor's account
  sample integer NOT NULL CHECK (sample BETWEEN 20 AND 5000),
  source text NOT NULL CHECK (source IN ('drand', 'other')),
  round bigint,                -- of drand
  description text,            -- of another source
  draw_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  announced_at timestamptz,
  origin text,                 -- the name of the log
  log_size bigint,
  root bytea,                  -- of the log at that size
  frame integer[],             -- indexes of the entries of those who agreed, ascending
  frame_digest bytea,
  recipient text CHECK (recipient ~ '^age1[02-9ac-hj-np-z]{58}$'), -- the auditor's age key
  value text CHECK (length(value) BETWEEN 1 AND 400),
  drawn integer[],             -- indexes of the entries, ascending
  asked_at timestamptz,
  ends_at timestamptz,
  ended_at timestamptz,
  unreached integer,           -- drawn, but could not be asked
  signed integer,              -- answers; null if there were too few to publish them
  denied integer,
  PRIMARY KEY (letter, number),
  CHECK ((source = 'drand') = (round IS NOT NULL) AND (source = 'other') = (description IS NOT NULL)),
  CHECK ((state = 'abandoned') = (reason IS NOT NULL)),
  CHECK ((state IN ('done', 'abandoned')) = (ended_at IS NOT NULL)),
  CHECK (state IN ('preparing', 'abandoned') OR num_nulls(announced_at, origin, log_size, root, frame, frame_digest) = 0),
  CHECK (state NOT IN ('asking', 'done') OR num_nulls(recipient, value, drawn, asked_at, ends_at) = 0),
  CHECK (state = 'done' OR num_nonnulls(unreached, signed, denied) = 0),
  CHECK (num_nonnulls(signed, denied) <> 1 AND least(unreached, signed, denied) >= 0),
  CHECK (unreached + coalesce(signed + denied, 0) <= sample)
);
CREATE UNIQUE INDEX audit_one_at_a_time ON audit (letter) WHERE state NOT IN ('done', 'abandoned');
CREATE INDEX audit_active ON audit (state) WHERE state NOT IN ('done', 'abandoned');
CREATE INDEX audit_organizer ON audit (organizer) WHERE organizer IS NOT NULL;

-- One mailed question. Nothing of it says whose it is: its id is random, and stands in the mail.
CREATE TABLE audit_question (
  letter integer NOT NULL,
  id bigint NOT NULL,
  audit integer NOT NULL,
  answer text CHECK (answer IN ('signed', 'denied', 'unreached')),
  PRIMARY KEY (letter, id),
  FOREIGN KEY (letter, audit) REFERENCES audit (letter, number) ON DELETE CASCADE
);
CREATE INDEX audit_question_audit ON audit_question (letter, audit);

-- The addresses of the drawn, encrypted to the auditor's key; for 30 days.
CREATE TABLE audit_address_list (
  letter integer NOT NULL,
  audit integer NOT NULL,
  bytes bytea NOT NULL,
  made_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (letter, audit),
  FOREIGN KEY (letter, audit) REFERENCES audit (letter, number) ON DELETE CASCADE
);
ALTER TABLE audit_question SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 100);
ALTER TABLE audit_address_list SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 100);
