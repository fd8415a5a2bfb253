-- A stolen session must not read all hidden names page by page: which signatures an organizer has read in the last day.

CREATE TABLE name_reading (
  organizer integer NOT NULL REFERENCES organizer ON DELETE CASCADE,
  signature bigint NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organizer, signature)
);
