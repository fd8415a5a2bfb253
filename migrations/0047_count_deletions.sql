-- What retention deleted, by day: the proof that periods are kept, without a word of whom it was about.

CREATE TABLE deletion (
  day date NOT NULL,                    -- in UTC
  task text NOT NULL CHECK (task ~ '^[a-z_]{2,60}$'),
  number bigint NOT NULL CHECK (number > 0),
  PRIMARY KEY (day, task)
);
