-- The digests of mailboxes may need a second key, which a process elsewhere holds: what has been switched to it.

-- One row. fingerprint: of the keeper whose digests are stored; null while there is none.
CREATE TABLE keeper (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  fingerprint bytea CHECK (length(fingerprint) = 8),
  adopted_at timestamptz
);
INSERT INTO keeper DEFAULT VALUES;

-- kept: this letter's digests, and keys of imported rows, have gone through the keeper.
ALTER TABLE letter ADD COLUMN kept boolean NOT NULL DEFAULT false;

CREATE FUNCTION keep_new_letter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.kept := EXISTS (SELECT FROM keeper WHERE fingerprint IS NOT NULL);
  RETURN NEW;
END $$;
CREATE TRIGGER keep_new_letter BEFORE INSERT ON letter FOR EACH ROW EXECUTE FUNCTION keep_new_letter();
