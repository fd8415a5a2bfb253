-- An owner can ask for the reset of a colleague's lost second factor; it happens a day later unless it is stopped.

-- Pending ones only: a row goes when the reset is stopped or carried out, and the log says which.
CREATE TABLE factor_reset (
  organizer integer PRIMARY KEY REFERENCES organizer ON DELETE CASCADE, -- who lost it: one at a time
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,          -- whose owner asked
  asked_by integer NOT NULL REFERENCES organizer ON DELETE CASCADE,
  asked_at timestamptz NOT NULL DEFAULT now(),
  due_at timestamptz NOT NULL,
  CHECK (asked_by <> organizer)
);
CREATE INDEX factor_reset_letter ON factor_reset (letter);
CREATE INDEX factor_reset_asked_by ON factor_reset (asked_by);
CREATE INDEX factor_reset_due_at ON factor_reset (due_at);
