-- A session gets a new id when somebody else has changed its organizer's rights, too: at the next request that it is shown in.

ALTER TABLE session ADD COLUMN renew boolean NOT NULL DEFAULT false;
