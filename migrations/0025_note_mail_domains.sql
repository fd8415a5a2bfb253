-- Many confirmed signatures of one mail domain or mail host within a day wait for a moderator.

-- Digests under a key of the day, written by the worker when it mails the link; null for providers anyone can use.
-- provider: the class of the mailbox's provider, counted when confirmed and not stored with the signature.
ALTER TABLE pending ADD COLUMN domain bytea, ADD COLUMN mail_host bytea, ADD COLUMN provider text;
ALTER TABLE signature ADD COLUMN domain bytea, ADD COLUMN mail_host bytea;
CREATE INDEX pending_domain ON pending (letter, domain) WHERE domain IS NOT NULL;
CREATE INDEX pending_mail_host ON pending (letter, mail_host) WHERE mail_host IS NOT NULL;
CREATE INDEX signature_domain ON signature (letter, domain) WHERE domain IS NOT NULL;
CREATE INDEX signature_mail_host ON signature (letter, mail_host) WHERE mail_host IS NOT NULL;

-- Domains that an organizer let through: digests under the letter's digest key.
CREATE TABLE trusted_domain (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  digest bytea NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (letter, digest)
);
