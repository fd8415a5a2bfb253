-- What becomes of a letter is on record: addressees have rows that stay, deliveries and answers are dated events.

CREATE TABLE addressee (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  id integer GENERATED ALWAYS AS IDENTITY,
  position smallint,          -- among the letter's addressees; null: the letter names it no more
  names jsonb NOT NULL,       -- {"en": "…", "ru": "…"}
  url text,
  way text NOT NULL DEFAULT '' CHECK (way IN ('', 'mail', 'hand', 'post', 'form')),
  lang text NOT NULL DEFAULT 'en', -- of mails to it
  digest bytea,               -- of its address, under the letter's digest key; stays after an objection
  sealed bytea,               -- its address; null once it has objected
  never bytea,                -- digest under which its address would be in ``suppressed``, once a mail was written
  objected_at timestamptz,
  link smallint NOT NULL DEFAULT 1, -- the number that its link to answer has to hold; a new one revokes the former
  link_until timestamptz,     -- null: it has no link that works
  revision integer NOT NULL DEFAULT 1,
  PRIMARY KEY (letter, id)
);

INSERT INTO addressee (letter, position, names, url)
SELECT letter, position, names, url FROM party WHERE role = 'addressee' ORDER BY letter, position;
DELETE FROM party WHERE role = 'addressee';

CREATE TABLE addressee_file (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  id bigint GENERATED ALWAYS AS IDENTITY,
  type text NOT NULL CHECK (type IN ('application/pdf', 'image/png', 'image/jpeg')),
  content bytea NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (letter, id)
);

CREATE TABLE addressee_event (
  letter integer NOT NULL,
  id integer GENERATED ALWAYS AS IDENTITY,
  addressee integer NOT NULL,
  state text NOT NULL
    CHECK (state IN ('delivered', 'acknowledged', 'answered', 'refused', 'changed_course', 'reminded')),
  way text NOT NULL DEFAULT '' CHECK (way IN ('', 'mail', 'hand', 'post', 'form')),
  at timestamptz NOT NULL,    -- when it happened; of a mail, when a relay took it
  note text NOT NULL DEFAULT '',        -- for organizers only
  summary jsonb NOT NULL DEFAULT '{}',  -- what readers see: {"en": "…", "ru": "…"}
  url text,
  file bigint,                -- a delivery's is for organizers only, an answer's for readers
  job bigint,                 -- the row of the outbox whose mail this is
  sent boolean NOT NULL DEFAULT true,   -- false while the mail is on its way
  failed smallint,            -- why the mail never went: a reply code, 0 given up, 1 it had objected
  organizer integer REFERENCES organizer ON DELETE SET NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  undone_at timestamptz,
  PRIMARY KEY (letter, id),
  FOREIGN KEY (letter, addressee) REFERENCES addressee ON DELETE CASCADE
);
CREATE INDEX addressee_event_addressee ON addressee_event (letter, addressee, at);
CREATE UNIQUE INDEX addressee_event_job ON addressee_event (job) WHERE job IS NOT NULL;

-- What addressees send by their link waits here for an organizer.
CREATE TABLE addressee_answer (
  letter integer NOT NULL,
  id integer GENERATED ALWAYS AS IDENTITY,
  addressee integer NOT NULL,
  private bytea,              -- name, role, text, url, encrypted under the letter's name key
  digest bytea NOT NULL,      -- of the form, so that a second press of the button adds nothing
  lang text NOT NULL,
  file bigint,
  at timestamptz NOT NULL DEFAULT now(),
  state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'published', 'declined')),
  event integer,
  PRIMARY KEY (letter, id),
  UNIQUE (letter, addressee, digest),
  FOREIGN KEY (letter, addressee) REFERENCES addressee ON DELETE CASCADE
);
CREATE INDEX addressee_answer_waiting ON addressee_answer (letter) WHERE state = 'waiting';

-- The outbox says how a mail ended only by the row that goes: a refusal is noted by its job, all others were taken.
ALTER TABLE refused_mail ADD COLUMN job bigint;

CREATE FUNCTION note_addressee_refused() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE addressee_event SET failed = coalesce(failed, NEW.code) WHERE job = NEW.job;
  RETURN NULL;
END $$;
CREATE TRIGGER note_addressee_refused AFTER INSERT ON refused_mail
  FOR EACH ROW WHEN (NEW.job IS NOT NULL) EXECUTE FUNCTION note_addressee_refused();

CREATE FUNCTION note_addressee_mailed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE addressee_event SET sent = true, at = now() WHERE job = OLD.id AND NOT sent;
  UPDATE letter SET revision = revision + 1 WHERE id = OLD.letter;
  RETURN NULL;
END $$;
CREATE TRIGGER note_addressee_mailed AFTER DELETE ON outbox
  FOR EACH ROW WHEN (OLD.purpose = 'addressee') EXECUTE FUNCTION note_addressee_mailed();
