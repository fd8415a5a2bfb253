-- What is handed to addressees is drawn once and stays as it is: its digest stands on the letter's page.

CREATE TABLE package (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  id integer GENERATED ALWAYS AS IDENTITY,
  made_at timestamptz NOT NULL,
  organizer integer REFERENCES organizer ON DELETE SET NULL, -- null: an addressee's link needed a new one
  version smallint NOT NULL,
  people bigint NOT NULL,
  organizations bigint NOT NULL,
  sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
  names_digest bytea NOT NULL,  -- of the names in it: whether one was taken back since
  content bytea,                -- the PDF, encrypted under the letter's name key; null once deleted
  person_ids bigint[],
  organization_ids bigint[],
  PRIMARY KEY (letter, id),
  CHECK ((content IS NULL) = (person_ids IS NULL) AND (content IS NULL) = (organization_ids IS NULL))
);
CREATE INDEX package_stored ON package (made_at) WHERE content IS NOT NULL;
