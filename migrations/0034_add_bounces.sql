-- A mailbox that does not exist gets no more mail of a letter, nor one whose owner called a mail of it spam.

-- No address: the digest under the letter's key, as in its signatures.
CREATE TABLE bounced_mailbox (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  digest bytea NOT NULL,
  reason text NOT NULL CHECK (reason IN ('bounce', 'complaint')),
  bounced_at timestamptz NOT NULL DEFAULT now(),
  paused_until timestamptz NOT NULL, -- until then not even mail that was just asked for
  PRIMARY KEY (letter, digest)
);

-- What came in, by day, without a word of whom it was about.
CREATE TABLE incoming_mail_count (
  day date NOT NULL,
  kind text NOT NULL,
  number bigint NOT NULL,
  PRIMARY KEY (day, kind)
);
