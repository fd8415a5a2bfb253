-- The installation signs what others check from outside: its mirrors, and the checkpoints of its count logs.

CREATE TABLE signing_key (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  wrapped bytea NOT NULL -- the seed of an Ed25519 key, encrypted under SECRET_KEY
);
