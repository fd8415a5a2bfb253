-- In and out: imports made at the desk and their undoing, tallies without names, exports of addresses to an owner's key.

-- One import, of the desk or of the command. What was uploaded stands in intake_part until the import has ended.
CREATE TABLE intake (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  number integer NOT NULL,        -- what signature.import says
  organizer integer REFERENCES organizer ON DELETE SET NULL, -- null: a command
  state text NOT NULL CHECK (state IN ('uploading', 'reading', 'mapping', 'checking', 'checked', 'importing', 'done',
                                       'cancelled', 'failed', 'undoing', 'undone', 'redoing')),
  about bytea,                    -- name of the file, its header and first rows, encrypted under the letter's name key
  format text CHECK (format IN ('csv', 'xlsx')),
  encoding text,
  delimiter text,
  plan jsonb,                     -- which column is what: numbers and words of ours
  progress integer NOT NULL DEFAULT 0, -- rows
  total integer,                  -- rows there are, once they were counted
  problems integer NOT NULL DEFAULT 0,
  report jsonb,
  failure text,                   -- a message of ours
  changed integer NOT NULL DEFAULT 0, -- moves with each step of an organizer, so that the second one is told
  created_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,
  PRIMARY KEY (letter, number)
);
CREATE INDEX intake_under_way ON intake (created_at)
  WHERE state IN ('reading', 'checking', 'importing', 'undoing', 'redoing');

-- The numbers that are taken already.
INSERT INTO intake (letter, number, state, created_at, ended_at)
SELECT letter, import, 'done', now(), now() FROM signature WHERE import IS NOT NULL GROUP BY letter, import;

-- The uploaded file in pieces, each encrypted under the letter's name key.
CREATE TABLE intake_part (
  letter integer NOT NULL,
  number integer NOT NULL,
  part integer NOT NULL,
  bytes bytea NOT NULL,
  PRIMARY KEY (letter, number, part),
  FOREIGN KEY (letter, number) REFERENCES intake (letter, number) ON DELETE CASCADE
);

-- Rows that cannot be taken in: where, which column, and a message of ours; never what stands there.
CREATE TABLE intake_problem (
  letter integer NOT NULL,
  number integer NOT NULL,
  line integer NOT NULL,
  field text NOT NULL,
  reason text NOT NULL,
  PRIMARY KEY (letter, number, line),
  FOREIGN KEY (letter, number) REFERENCES intake (letter, number) ON DELETE CASCADE
);

-- What undoing an import took away, for a week, so that it can be brought back.
CREATE TABLE undone (
  letter integer NOT NULL,
  number integer NOT NULL,
  signature bigint NOT NULL,
  fields jsonb NOT NULL,          -- the row as it stood
  organization jsonb,             -- the names and the website of its organization
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (letter, number, signature),
  FOREIGN KEY (letter, number) REFERENCES intake (letter, number) ON DELETE CASCADE
);
CREATE INDEX undone_at ON undone (at);

CREATE INDEX signature_import ON signature (letter, import, id) WHERE import IS NOT NULL;

-- People who signed elsewhere and are known by their number only. A correction is a new row in place of the old one.
CREATE TABLE tally (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  id integer GENERATED ALWAYS AS IDENTITY,
  people integer NOT NULL CHECK (people BETWEEN 1 AND 100000000),
  counted_on date NOT NULL,
  source jsonb NOT NULL,          -- language → what readers are told of it
  organizer integer REFERENCES organizer ON DELETE SET NULL,
  replaces integer,
  at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,           -- undone, or corrected by another
  PRIMARY KEY (letter, id)
);

-- An age recipient to which addresses may be encrypted. Not at once: all owners are told first.
CREATE TABLE address_key (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  id integer GENERATED ALWAYS AS IDENTITY,
  organizer integer NOT NULL REFERENCES organizer ON DELETE CASCADE,
  recipient text NOT NULL CHECK (recipient ~ '^age1[02-9ac-hj-np-z]{58}$'),
  created_at timestamptz NOT NULL DEFAULT now(),
  usable_at timestamptz NOT NULL,
  revoked_at timestamptz,
  PRIMARY KEY (letter, id)
);

-- A list of addresses that the worker makes, encrypts and leaves here.
CREATE TABLE address_job (
  letter integer NOT NULL,
  id integer GENERATED ALWAYS AS IDENTITY,
  key integer NOT NULL,
  organizer integer REFERENCES organizer ON DELETE SET NULL,
  state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed')),
  addresses integer,
  created_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,
  PRIMARY KEY (letter, id),
  FOREIGN KEY (letter, key) REFERENCES address_key (letter, id) ON DELETE CASCADE
);
CREATE INDEX address_job_waiting ON address_job (id) WHERE state = 'waiting';

CREATE TABLE address_part (
  letter integer NOT NULL,
  job integer NOT NULL,
  part integer NOT NULL,
  bytes bytea NOT NULL,           -- ciphertext; only the owner's age identity opens it
  PRIMARY KEY (letter, job, part),
  FOREIGN KEY (letter, job) REFERENCES address_job (letter, id) ON DELETE CASCADE
);
