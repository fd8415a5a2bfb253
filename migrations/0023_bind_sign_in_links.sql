-- Mailed sign-in links belong to the browser that asked for them, and browsers that signed in before are remembered.

-- A browser that asks for a link, for known and unknown mailboxes alike. Gone after half an hour.
CREATE TABLE sign_in_ask (
  digest bytea PRIMARY KEY,       -- SHA-256 of the browser's cookie
  mailbox bytea NOT NULL,         -- as organizer.digest
  code bytea NOT NULL,            -- digest of the code that the browser displays, under the desk's key
  slot timestamptz,               -- when its mail is sent, if many have asked for this mailbox; null: at once
  link bytea,                     -- the SHA-256 of the link that was mailed for it
  expires_at timestamptz NOT NULL
);
CREATE INDEX sign_in_ask_mailbox ON sign_in_ask (mailbox);
CREATE INDEX sign_in_ask_link ON sign_in_ask (link);
CREATE INDEX sign_in_ask_expires_at ON sign_in_ask (expires_at);

-- A link with a nonce opens only together with an ask that has it; the others were printed, or are invitations, or were
-- mailed by an older version.
ALTER TABLE entry
  ADD COLUMN nonce bytea,
  ADD COLUMN tries smallint NOT NULL DEFAULT 0;

CREATE INDEX outbox_sign_in ON outbox (digest, due_at) WHERE purpose = 'entry';

CREATE TABLE remembered_device (
  digest bytea PRIMARY KEY,       -- SHA-256 of the cookie
  organizer integer NOT NULL REFERENCES organizer ON DELETE CASCADE,
  session bigint NOT NULL,        -- the last one of this browser; it may be over
  expires_at timestamptz NOT NULL
);
CREATE INDEX remembered_device_organizer ON remembered_device (organizer);
CREATE INDEX remembered_device_expires_at ON remembered_device (expires_at);
