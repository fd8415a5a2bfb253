-- Representatives answer by a form, second mailboxes answer no, and a sensitive letter's mails do not name it.

-- Messages between the organizers and an organization's representative. The text is encrypted under the letter's name
-- key and goes with the signature.
CREATE TABLE message (
  letter integer NOT NULL,
  signature bigint NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  organizer integer REFERENCES organizer ON DELETE SET NULL, -- null in an answer
  answers bigint,                                            -- the message that this one answers; null: from the desk
  text bytea NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (letter, signature, id),
  FOREIGN KEY (letter, signature) REFERENCES signature (letter, id) ON DELETE CASCADE
);
CREATE INDEX message_id ON message (letter, id);
CREATE INDEX message_organizer ON message (organizer) WHERE organizer IS NOT NULL;

-- Do mails and subjects keep silent about the letter's title, its initiators and the signatory?
ALTER TABLE letter ADD COLUMN sensitive boolean NOT NULL DEFAULT false;
