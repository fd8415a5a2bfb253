-- A process that looks for changes twice a second must not read every letter: an index says which have moved since.

-- ``moved`` is the number of the transaction that changed a row last. A reader remembers the oldest transaction that was
-- unfinished when it looked (pg_snapshot_xmin) and asks for rows of this one and later: what commits late is not missed.
CREATE FUNCTION note_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.moved := pg_current_xact_id();
  RETURN NEW;
END
$$;

-- Where a row's going is a change of its letter.
CREATE FUNCTION move_letter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE letter SET moved = DEFAULT WHERE id = OLD.letter AND state <> 'gone';
  RETURN NULL;
END
$$;

ALTER TABLE letter ADD COLUMN moved xid8 NOT NULL DEFAULT '0';
ALTER TABLE count ADD COLUMN moved xid8 NOT NULL DEFAULT '0';
ALTER TABLE count_step ADD COLUMN moved xid8 NOT NULL DEFAULT '0';
ALTER TABLE switch ADD COLUMN moved xid8 NOT NULL DEFAULT '0';

CREATE TRIGGER letter_moves BEFORE INSERT OR UPDATE ON letter FOR EACH ROW EXECUTE FUNCTION note_move();
CREATE TRIGGER count_moves BEFORE INSERT OR UPDATE ON count FOR EACH ROW EXECUTE FUNCTION note_move();
CREATE TRIGGER count_step_moves BEFORE INSERT OR UPDATE ON count_step FOR EACH ROW EXECUTE FUNCTION note_move();
CREATE TRIGGER switch_moves BEFORE INSERT OR UPDATE ON switch FOR EACH ROW EXECUTE FUNCTION note_move();
CREATE TRIGGER count_step_goes AFTER DELETE ON count_step FOR EACH ROW EXECUTE FUNCTION move_letter();
CREATE TRIGGER switch_goes AFTER DELETE ON switch FOR EACH ROW EXECUTE FUNCTION move_letter();

CREATE INDEX letter_moved ON letter (moved);
CREATE INDEX count_moved ON count (moved);
CREATE INDEX count_step_moved ON count_step (moved);
CREATE INDEX switch_moved ON switch (moved);

-- What changes by itself: letters close at their time, sensitive ones take their steps.
CREATE INDEX letter_closing ON letter (closes_at) WHERE state = 'open';
CREATE INDEX letter_sensitive ON letter (id) WHERE sensitive;
