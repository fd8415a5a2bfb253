-- When the last backup was made, so that `petition check` and Prometheus can say that it is old.
ALTER TABLE installation ADD COLUMN backed_up_at timestamptz;
