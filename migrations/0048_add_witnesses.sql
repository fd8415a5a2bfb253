-- Partners cosign the checkpoints of count logs: who may, and the newest cosignature of each.

CREATE TABLE witness (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  title text NOT NULL,        -- as readers see it
  verifier_key text NOT NULL, -- name+hash+key
  created_at timestamptz NOT NULL DEFAULT now(),
  retired_at timestamptz,
  size bigint,                -- of the checkpoint that was cosigned last
  checkpoint text,            -- the note with the installation's signature alone
  cosignature text,           -- the line below it
  cosigned_at timestamptz,    -- by the witness's clock
  UNIQUE (letter, verifier_key),
  CHECK (num_nulls(size, checkpoint, cosignature, cosigned_at) IN (0, 4))
);
