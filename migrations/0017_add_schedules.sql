-- A letter's opening and an update can be published by themselves at a time that an organizer has set.

ALTER TABLE letter
  ADD COLUMN publish_at timestamptz,
  ADD COLUMN publish_by integer REFERENCES organizer ON DELETE SET NULL;
CREATE INDEX letter_publish_at ON letter (publish_at) WHERE publish_at IS NOT NULL;
CREATE INDEX letter_publish_by ON letter (publish_by) WHERE publish_by IS NOT NULL;

ALTER TABLE news
  ADD COLUMN publish_at timestamptz,
  ADD COLUMN publish_by integer REFERENCES organizer ON DELETE SET NULL,
  ADD CHECK (publish_at IS NULL OR state = 'draft');
CREATE INDEX news_publish_at ON news (publish_at) WHERE publish_at IS NOT NULL;
CREATE INDEX news_publish_by ON news (publish_by) WHERE publish_by IS NOT NULL;
