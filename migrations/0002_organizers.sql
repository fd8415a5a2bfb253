-- The organizers' desk: who may enter it, with what, and which letters are theirs; the log of every act; mail of the desk.

CREATE TYPE desk_role AS ENUM ('viewer', 'moderator', 'editor', 'owner');

-- One row: the key under which organizers' mailboxes and recovery codes are digested, wrapped under SECRET_KEY.
CREATE TABLE desk_key (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  wrapped bytea NOT NULL
);

CREATE TABLE organizer (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,             -- as colleagues see it; '' until it is given
  lang text NOT NULL,             -- of the desk's pages
  admin boolean NOT NULL DEFAULT false,
  digest bytea NOT NULL UNIQUE,   -- of the canonical address, under the desk's key
  sealed bytea NOT NULL,          -- the address, sealed to the contact key
  created_at timestamptz NOT NULL DEFAULT now(),
  seen_at timestamptz
);

CREATE TABLE member (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  organizer integer NOT NULL REFERENCES organizer ON DELETE CASCADE,
  role desk_role NOT NULL,
  since timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (letter, organizer)
);
CREATE INDEX member_organizer ON member (organizer);

-- Somebody was asked to join. Gone once they came, or were told not to, or a week has passed.
CREATE TABLE invitation (
  id bigint PRIMARY KEY,          -- random
  letter integer REFERENCES letter ON DELETE CASCADE, -- null: to the installation
  role desk_role,
  name text NOT NULL,             -- as the one who invited typed it
  lang text NOT NULL,
  digest bytea NOT NULL,
  sealed bytea NOT NULL,
  invited_by integer REFERENCES organizer ON DELETE SET NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  CHECK ((letter IS NULL) = (role IS NULL))
);
CREATE UNIQUE INDEX invitation_one_per_mailbox ON invitation (coalesce(letter, 0), digest);
CREATE INDEX invitation_expires_at ON invitation (expires_at);

-- One-time links: only the SHA-256 of the token is here. Used up by being deleted.
CREATE TABLE entry (
  digest bytea PRIMARY KEY,
  organizer integer REFERENCES organizer ON DELETE CASCADE,
  invitation bigint REFERENCES invitation ON DELETE CASCADE,
  expires_at timestamptz NOT NULL,
  CHECK ((organizer IS NULL) <> (invitation IS NULL))
);
CREATE INDEX entry_organizer ON entry (organizer);
CREATE INDEX entry_invitation ON entry (invitation);
CREATE INDEX entry_expires_at ON entry (expires_at);

CREATE TABLE session (
  id bigint PRIMARY KEY,          -- random; names the row on pages, opens nothing
  digest bytea NOT NULL UNIQUE,   -- SHA-256 of the cookie, which changes with every change of rights
  organizer integer NOT NULL REFERENCES organizer ON DELETE CASCADE,
  browser text NOT NULL,          -- "Firefox, Linux": never the header itself
  proved_at timestamptz,          -- when the second factor was last shown; null: not yet
  created_at timestamptz NOT NULL DEFAULT now(),
  seen_at timestamptz NOT NULL DEFAULT now(),
  wrapped_totp bytea,             -- a secret being set up
  challenge bytea,                -- a passkey's challenge waiting for its answer
  challenged_at timestamptz
);
CREATE INDEX session_organizer ON session (organizer);
CREATE INDEX session_seen_at ON session (seen_at);

CREATE TABLE totp (
  organizer integer PRIMARY KEY REFERENCES organizer ON DELETE CASCADE,
  wrapped_secret bytea NOT NULL,
  last_step bigint NOT NULL,      -- the newest half minute whose code has passed: none passes twice
  since timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE passkey (
  id bytea PRIMARY KEY,           -- the authenticator's own
  organizer integer NOT NULL REFERENCES organizer ON DELETE CASCADE,
  public_key bytea NOT NULL,
  uses bigint NOT NULL,           -- the authenticator's counter; 0 where it has none
  browser text NOT NULL,          -- where it was made
  since timestamptz NOT NULL DEFAULT now(),
  used_at timestamptz
);
CREATE INDEX passkey_organizer ON passkey (organizer);

CREATE TABLE recovery_code (
  organizer integer NOT NULL REFERENCES organizer ON DELETE CASCADE,
  digest bytea NOT NULL,          -- under the desk's key
  PRIMARY KEY (organizer, digest)
);

-- Every act of the desk. Numbers and words of ours, never typed text: erasing a person needs no hole in it. It refers
-- to nothing, so that it outlives whatever it tells of.
CREATE TABLE log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  organizer integer,              -- null: the worker, or a command
  letter integer,                 -- null: the installation
  act text NOT NULL CHECK (act ~ '^[a-z][a-z_.]{1,40}$'),
  ids bigint[] NOT NULL DEFAULT '{}',
  before text NOT NULL DEFAULT '' CHECK (before ~ '^[a-z0-9_.:,+-]{0,200}$'),
  after text NOT NULL DEFAULT '' CHECK (after ~ '^[a-z0-9_.:,+-]{0,200}$'),
  reason text CHECK (reason ~ '^[a-z0-9_]{1,40}$')
);
CREATE INDEX log_letter ON log (letter, id DESC);
CREATE INDEX log_ids ON log USING gin (ids);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Mails that are not about one's signature: to a sealed address, in our words, with parameters of ours.
ALTER TABLE outbox ALTER COLUMN letter DROP NOT NULL;
ALTER TABLE outbox DROP CONSTRAINT outbox_purpose_check, DROP CONSTRAINT outbox_check;
ALTER TABLE outbox ADD COLUMN details jsonb;
ALTER TABLE outbox
  ADD CHECK (purpose ~ '^[a-z_]{2,40}$'),
  ADD CHECK ((purpose = 'sign') = (sealed IS NULL)),
  ADD CHECK (purpose NOT IN ('sign', 'find') OR letter IS NOT NULL);
