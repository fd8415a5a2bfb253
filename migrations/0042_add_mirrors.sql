-- The desk says when the static copy of each letter was last written, and why it could not be.

CREATE TABLE mirror (
  letter integer PRIMARY KEY REFERENCES letter ON DELETE CASCADE,
  written_at timestamptz,
  counted_at timestamptz, -- the time of the count in it
  files integer,
  bytes bigint,
  failed_at timestamptz,  -- the newest attempt, if that failed
  problem text,
  CHECK ((written_at IS NULL) = (counted_at IS NULL) AND (failed_at IS NULL) = (problem IS NULL))
);
