-- Updates are mailed to those who asked for them: every subscriber ends in exactly one state, and the sums hold.

-- Since when updates go to an address: null while its signature is not confirmed. With the transaction that said so, a
-- mailing tells exactly who was there at its moment: times of rows and of commits are not in one order.
ALTER TABLE contact
  ADD COLUMN since timestamptz DEFAULT now(),
  ADD COLUMN added_in xid8 NOT NULL DEFAULT pg_current_xact_id();
UPDATE contact c SET since = CASE WHEN s.state = 'confirmed' THEN s.listed_at END
FROM signature s WHERE s.letter = c.letter AND s.id = c.signature;

-- One update on its way to its subscribers. No address is in it.
CREATE TABLE mailing (
  letter integer NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  news integer NOT NULL,
  organizer integer REFERENCES organizer ON DELETE SET NULL,
  state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'paused', 'cancelled', 'done')),
  reason text CHECK (reason IN ('organizer', 'refusals', 'removed')), -- why it is paused
  created_at timestamptz NOT NULL DEFAULT now(),
  starts_at timestamptz NOT NULL,              -- no mail before that; until then it can be undone
  started_at timestamptz,
  ended_at timestamptz,
  texts jsonb,                                 -- what is mailed, as it was published at the start
  taken pg_snapshot,                           -- who was a subscriber at the start, beside started_at
  reached bigint NOT NULL DEFAULT -1,          -- the last signature that was walked past
  walked boolean NOT NULL DEFAULT false,       -- all were
  next_at timestamptz NOT NULL DEFAULT now(),  -- the speed limit: no further chunk before that
  recipients integer,                          -- null until the start
  unreached integer NOT NULL DEFAULT 0,
  in_flight integer NOT NULL DEFAULT 0,
  accepted integer NOT NULL DEFAULT 0,
  refused integer NOT NULL DEFAULT 0,
  bounced integer NOT NULL DEFAULT 0,
  suppressed integer NOT NULL DEFAULT 0,
  cancelled integer NOT NULL DEFAULT 0,        -- of the suppressed ones
  repeated integer NOT NULL DEFAULT 0,         -- may have come twice, because a worker was killed
  judged integer NOT NULL DEFAULT 0,           -- settled and refused ones that a pause has been about
  judged_refused integer NOT NULL DEFAULT 0,
  PRIMARY KEY (letter, id),
  FOREIGN KEY (letter, news) REFERENCES news (letter, id) ON DELETE CASCADE,
  CHECK (recipients IS NULL
         OR recipients = unreached + in_flight + accepted + refused + bounced + suppressed),
  CHECK (least(unreached, in_flight, accepted, refused, bounced, suppressed, cancelled, repeated) >= 0),
  CHECK (cancelled <= suppressed),
  CHECK (NOT walked OR unreached = 0),
  CHECK (state <> 'done' OR (walked AND in_flight = 0)),
  CHECK ((recipients IS NULL) = (taken IS NULL) AND (recipients IS NULL) = (texts IS NULL))
);
CREATE INDEX mailing_of_news ON mailing (letter, news);
-- An update is mailed once; one that was undone before its first mail does not count.
CREATE UNIQUE INDEX mailing_once ON mailing (letter, news) WHERE state <> 'cancelled' OR recipients IS NOT NULL;
CREATE INDEX mailing_active ON mailing (next_at) WHERE state IN ('waiting', 'sending');
CREATE INDEX mailing_organizer ON mailing (organizer) WHERE organizer IS NOT NULL;

-- One subscriber whose turn has come. The row stays when the signature is deleted: the sums hold.
CREATE TABLE mailing_stamp (
  letter integer NOT NULL,
  mailing bigint NOT NULL,
  signature bigint NOT NULL,
  state text NOT NULL DEFAULT 'in_flight'
    CHECK (state IN ('in_flight', 'accepted', 'refused', 'bounced', 'suppressed')),
  code smallint,                               -- of the refusal; 0: never accepted in time
  attempts smallint NOT NULL DEFAULT 0,        -- that failed so far
  begun boolean NOT NULL DEFAULT false,        -- a relay has been given the mail, and has not answered yet
  due_at timestamptz NOT NULL DEFAULT now(),   -- in flight: when it may be taken; while leased: when the lease ends
  lease bigint,
  first_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (letter, mailing, signature),
  FOREIGN KEY (letter, mailing) REFERENCES mailing (letter, id) ON DELETE CASCADE
);
CREATE INDEX mailing_stamp_due ON mailing_stamp (letter, mailing, due_at) WHERE state = 'in_flight';

-- Whether an address was a subscriber's when a mailing began. Only of the last hour are the transactions asked: in a
-- database that was restored elsewhere, the numbers of old ones say nothing.
CREATE FUNCTION was_subscriber(since timestamptz, added_in xid8, started_at timestamptz, taken pg_snapshot)
RETURNS boolean STABLE LANGUAGE sql AS $$
  SELECT since <= started_at AND (since < started_at - interval '1 hour' OR pg_visible_in_snapshot(added_in, taken))
$$;

-- The numbers of a mailing follow its stamps, whatever statement changes them.
CREATE FUNCTION count_new_stamps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE mailing m SET unreached = unreached - n.stamps, in_flight = in_flight + n.stamps
  FROM (SELECT letter, mailing, count(*) AS stamps FROM added GROUP BY 1, 2) n
  WHERE m.letter = n.letter AND m.id = n.mailing;
  RETURN NULL;
END
$$;
CREATE TRIGGER stamps_added AFTER INSERT ON mailing_stamp REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION count_new_stamps();

CREATE FUNCTION count_moved_stamps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE mailing m SET in_flight = m.in_flight + n.in_flight, accepted = m.accepted + n.accepted,
         refused = m.refused + n.refused, bounced = m.bounced + n.bounced, suppressed = m.suppressed + n.suppressed
  FROM (
    SELECT letter, mailing, coalesce(sum(one) FILTER (WHERE state = 'in_flight'), 0) AS in_flight,
           coalesce(sum(one) FILTER (WHERE state = 'accepted'), 0) AS accepted,
           coalesce(sum(one) FILTER (WHERE state = 'refused'), 0) AS refused,
           coalesce(sum(one) FILTER (WHERE state = 'bounced'), 0) AS bounced,
           coalesce(sum(one) FILTER (WHERE state = 'suppressed'), 0) AS suppressed
    FROM (SELECT letter, mailing, state, 1 AS one FROM after_it
          UNION ALL SELECT letter, mailing, state, -1 FROM before_it) u
    GROUP BY 1, 2
  ) n
  WHERE m.letter = n.letter AND m.id = n.mailing
    AND (n.in_flight, n.accepted, n.refused, n.bounced, n.suppressed) <> (0, 0, 0, 0, 0);
  RETURN NULL;
END
$$;
CREATE TRIGGER stamps_moved AFTER UPDATE ON mailing_stamp REFERENCING OLD TABLE AS before_it NEW TABLE AS after_it
  FOR EACH STATEMENT EXECUTE FUNCTION count_moved_stamps();

-- Updates go to confirmed signatures only: approval begins them, removal ends them.
CREATE FUNCTION follow_signature() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE contact SET since = CASE WHEN NEW.state = 'confirmed' THEN now() END, added_in = pg_current_xact_id()
  WHERE letter = NEW.letter AND signature = NEW.id AND purpose = 'updates'
    AND (since IS NULL) = (NEW.state = 'confirmed');
  RETURN NULL;
END
$$;
CREATE TRIGGER signature_moved AFTER UPDATE OF state ON signature FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION follow_signature();

-- A subscriber who leaves before being reached is suppressed in that moment. At the commit, so that a mailing is the
-- last lock that such a transaction takes (docs/decisions/lock-order.md); the advisory lock ("mail") makes a mailing
-- that starts just now wait until the commit is through.
CREATE FUNCTION leave_mailings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.since IS NOT NULL THEN
    RETURN NULL;
  END IF;
  PERFORM pg_advisory_xact_lock_shared(1835100524, OLD.letter);
  UPDATE mailing SET unreached = unreached - 1, suppressed = suppressed + 1
  WHERE (letter, id) IN (
    SELECT letter, id FROM mailing
    WHERE letter = OLD.letter AND NOT walked AND recipients IS NOT NULL AND reached < OLD.signature
      AND was_subscriber(OLD.since, OLD.added_in, started_at, taken)
    ORDER BY id FOR NO KEY UPDATE);
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER subscriber_left AFTER UPDATE OF since OR DELETE ON contact DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (OLD.purpose = 'updates' AND OLD.since IS NOT NULL) EXECUTE FUNCTION leave_mailings();

-- A reminder to confirm, a day later: null follows the letter (not a sensitive one). All until then have been looked at.
ALTER TABLE letter ADD COLUMN reminder boolean;
CREATE TABLE reminded (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  until timestamptz NOT NULL
);
INSERT INTO reminded (until) VALUES (now() - interval '1 day');
