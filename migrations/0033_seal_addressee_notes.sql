-- What organizers note of a delivery is encrypted, its file too; and the letter is locked before an addressee's event.

ALTER TABLE addressee_event DROP COLUMN note, ADD COLUMN private bytea; -- note, encrypted under the letter's name key
ALTER TABLE addressee_file ADD COLUMN hidden boolean NOT NULL DEFAULT false; -- encrypted likewise: organizers only

CREATE OR REPLACE FUNCTION note_addressee_refused() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM addressee_event WHERE job = NEW.job) THEN
    UPDATE letter SET revision = revision + 1 WHERE id = NEW.letter;
    UPDATE addressee_event SET failed = coalesce(failed, NEW.code) WHERE job = NEW.job;
  END IF;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION note_addressee_mailed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE letter SET revision = revision + 1 WHERE id = OLD.letter;
  UPDATE addressee_event SET sent = true, at = now() WHERE job = OLD.id AND NOT sent;
  RETURN NULL;
END $$;
