-- Relays: what all workers know of each, what it did by the hour, test mails from the desk; mail that goes out in bulk.

-- One row per relay of SMTP_URLS. A worker reads it every second and writes when something changes, never per mail.
CREATE TABLE relay (
  name text PRIMARY KEY,                 -- host:port, with a digest of the user where two share these
  position smallint NOT NULL,            -- in SMTP_URLS
  since timestamptz NOT NULL DEFAULT now(),   -- the beginning of its warming up
  seen_at timestamptz NOT NULL DEFAULT now(), -- when a worker last had it in its settings
  failures smallint NOT NULL DEFAULT 0,  -- in a row; while there are any, one worker at a time tries it
  rests_until timestamptz,
  trying_until timestamptz,              -- the end of the lease of the worker that tries it
  refused_in_a_row smallint NOT NULL DEFAULT 0, -- mailboxes, for good
  trouble text,                          -- the last one: a word of petition.core.relay_words, never a relay's text
  trouble_step text,
  trouble_code smallint,
  trouble_status text,
  trouble_at timestamptz,
  accepted_at timestamptz,
  connected_at timestamptz,
  tls text,                              -- version at the last connection; '' without TLS
  tls_verified boolean
);

CREATE TABLE relay_hour (
  relay text NOT NULL REFERENCES relay ON DELETE CASCADE,
  hour timestamptz NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('accepted', 'deferred', 'refused')),
  reason text NOT NULL,                  -- a class of reasons, '' for accepted
  mails integer NOT NULL,
  PRIMARY KEY (relay, hour, outcome, reason)
);

CREATE TABLE relay_test (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  relay text NOT NULL REFERENCES relay ON DELETE CASCADE,
  organizer integer NOT NULL REFERENCES organizer ON DELETE CASCADE,
  asked_at timestamptz NOT NULL DEFAULT now(),
  taken_until timestamptz,               -- the end of the lease of the worker that sends it
  finished_at timestamptz,
  trouble text,                          -- null once finished: accepted
  step text,
  code smallint,
  status text
);
CREATE INDEX relay_test_open ON relay_test (id) WHERE finished_at IS NULL;
CREATE INDEX relay_test_organizer ON relay_test (organizer);

-- The workers that deliver mail at the moment: they share the limits of a relay.
CREATE TABLE mail_worker (
  id bigint PRIMARY KEY,
  seen_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE outbox
  ADD COLUMN priority smallint NOT NULL DEFAULT 0 CHECK (priority IN (0, 1)), -- 1: in bulk, behind all others
  ADD COLUMN relay text;                 -- which asked to be tried again later, and comes first then
CREATE INDEX outbox_priority ON outbox (priority, due_at, id);
DROP INDEX outbox_due_at;
