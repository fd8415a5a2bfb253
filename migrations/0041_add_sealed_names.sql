-- Names that no one reads until they are shown together: sealed to the worker's key until a number or a date.

ALTER TABLE letter
  ADD COLUMN publish_at_number integer CHECK (publish_at_number > 1), -- confirmed here; either is enough
  ADD COLUMN publish_at_date timestamptz,
  ADD COLUMN names_due_at timestamptz,        -- since when one of them is reached: the worker opens the names
  ADD COLUMN names_published_at timestamptz,  -- all are open: readers see them
  ADD CHECK (names_published_at IS NULL OR names_due_at IS NOT NULL);

-- The names and details of a person, as the form of a letter whose names wait left them. Only the worker has the key.
ALTER TABLE signature
  ADD COLUMN sealed bytea,
  ADD CONSTRAINT signature_sealed_is_alone CHECK (
    sealed IS NULL OR (name IS NULL AND name_key IS NULL AND affiliation IS NULL AND city IS NULL AND "position" IS NULL)),
  ADD CONSTRAINT signature_sealed_is_wanted CHECK (sealed IS NULL OR (visibility <> 'counted' AND state <> 'withdrawn'));
CREATE INDEX signature_sealed ON signature (letter, id) WHERE sealed IS NOT NULL;
