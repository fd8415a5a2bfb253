-- Statistics: figures that are kept along with the rows, so that a page of them reads no signatures.

-- What every statement on ``pending``, ``signature`` and ``refused_mail`` changed, added up, in its own transaction: so
-- whatever comes to change a signature, a figure cannot be forgotten, and an act that is rolled back changes none. Rows
-- are only ever added here, so nobody waits for anybody; the worker adds them to the tables below, and deletes them.
-- It has no index, being all but empty, and refers to no letter: deleting one deletes its signatures, which is noted
-- here as well.
-- What there is: 'state' (kind:state, all rows), 'lang', 'country' and 'source' (people who count now; '' is unknown),
-- 'pending' (sign-ups that wait), 'confirmed_in' (how long a sign-up took to be confirmed, in eighths of a power of
-- two of seconds), 'refused' (a relay's code).
CREATE TABLE statistics_change (
  letter integer NOT NULL,
  hour timestamptz NOT NULL,
  what text NOT NULL,
  value text NOT NULL,
  number bigint NOT NULL
);

CREATE TABLE statistics_total (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  what text NOT NULL,
  value text NOT NULL,
  number bigint NOT NULL,
  PRIMARY KEY (letter, what, value)
);

-- What happened in an hour (UTC). What the hour did to the count stands in ``count_hour``.
CREATE TABLE statistics_hour (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  hour timestamptz NOT NULL,
  signed_up bigint NOT NULL DEFAULT 0,
  confirmed bigint NOT NULL DEFAULT 0, -- by the mailed link or code, organizations too
  came bigint NOT NULL DEFAULT 0,      -- people who signed here and began to count
  went bigint NOT NULL DEFAULT 0,      -- those of them who ceased to: withdrawn, removed, deleted
  PRIMARY KEY (letter, hour)
);

CREATE FUNCTION figures_of(kind kind, state signature_state, lang text, country text, import integer)
RETURNS TABLE (what text, value text) STABLE LANGUAGE sql AS $$
  SELECT w.what, w.value
  FROM (VALUES ('state', kind || ':' || state), ('lang', coalesce(lang, '')), ('country', coalesce(country, '')),
               ('source', CASE WHEN import IS NULL THEN 'web' ELSE 'import' END)) AS w (what, value)
  WHERE w.what = 'state' OR kind = 'person' AND state = 'confirmed'
$$;

-- Eighths of a power of two: two neighbours are 9 % apart.
CREATE FUNCTION confirmed_in(signed_at timestamptz, listed_at timestamptz) RETURNS text STABLE LANGUAGE sql AS $$
  SELECT coalesce(floor(8 * ln(greatest(extract(epoch FROM listed_at - signed_at), 1)::double precision) / ln(2))::text,
                  '')
$$;

CREATE FUNCTION note_signatures_come() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO statistics_change
  SELECT c.letter, date_trunc('hour', now()), f.what, f.value, count(*)
  FROM come c, LATERAL (
    SELECT * FROM figures_of(c.kind, c.state, c.read_lang, c.country, c.import)
    UNION ALL SELECT 'confirmed_in', confirmed_in(c.signed_at, c.listed_at) WHERE c.import IS NULL
  ) AS f
  GROUP BY c.letter, f.what, f.value;
  RETURN NULL;
END
$$;

CREATE FUNCTION note_signatures_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO statistics_change
  SELECT u.letter, date_trunc('hour', now()), f.what, f.value, sum(u.number)
  FROM (
    SELECT letter, kind, state, read_lang, country, import, 1 AS number FROM come
    UNION ALL SELECT letter, kind, state, read_lang, country, import, -1 FROM gone
  ) AS u, LATERAL figures_of(u.kind, u.state, u.read_lang, u.country, u.import) AS f
  GROUP BY u.letter, f.what, f.value HAVING sum(u.number) <> 0;
  RETURN NULL;
END
$$;

CREATE FUNCTION note_signatures_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO statistics_change
  SELECT g.letter, date_trunc('hour', now()), f.what, f.value, -count(*)
  FROM gone g, LATERAL figures_of(g.kind, g.state, g.read_lang, g.country, g.import) AS f
  GROUP BY g.letter, f.what, f.value;
  RETURN NULL;
END
$$;

CREATE FUNCTION note_pending_come() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO statistics_change
  SELECT letter, date_trunc('hour', now()), 'pending', '', count(*) FROM come GROUP BY letter;
  RETURN NULL;
END
$$;

CREATE FUNCTION note_pending_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO statistics_change
  SELECT letter, date_trunc('hour', now()), 'pending', '', -count(*) FROM gone GROUP BY letter;
  RETURN NULL;
END
$$;

CREATE FUNCTION note_refused() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO statistics_change
  SELECT letter, date_trunc('hour', now()), 'refused', code::text, count(*) FROM come GROUP BY letter, code;
  RETURN NULL;
END
$$;

CREATE TRIGGER note_come AFTER INSERT ON signature
  REFERENCING NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION note_signatures_come();
CREATE TRIGGER note_changed AFTER UPDATE ON signature
  REFERENCING OLD TABLE AS gone NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION note_signatures_changed();
CREATE TRIGGER note_gone AFTER DELETE ON signature
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION note_signatures_gone();
CREATE TRIGGER note_come AFTER INSERT ON pending
  REFERENCING NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION note_pending_come();
CREATE TRIGGER note_gone AFTER DELETE ON pending
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION note_pending_gone();
CREATE TRIGGER note_come AFTER INSERT ON refused_mail
  REFERENCING NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION note_refused();

-- What was there before. The triggers above keep everybody else from writing until this is done.
INSERT INTO statistics_total
SELECT s.letter, f.what, f.value, count(*)
FROM signature s, LATERAL (
  SELECT * FROM figures_of(s.kind, s.state, s.read_lang, s.country, s.import)
  UNION ALL SELECT 'confirmed_in', confirmed_in(s.signed_at, s.listed_at) WHERE s.import IS NULL
) AS f
GROUP BY s.letter, f.what, f.value;
INSERT INTO statistics_total SELECT letter, 'pending', '', count(*) FROM pending GROUP BY letter;
INSERT INTO statistics_total SELECT letter, 'refused', code::text, count(*) FROM refused_mail GROUP BY letter, code;

-- The hours are pieced together: sign-ups that expired are not known any more, nor when somebody went; but an hour of
-- the count in which fewer people were added than are there must have lost some.
INSERT INTO statistics_hour (letter, hour, signed_up, confirmed, came, went)
SELECT letter, hour, sum(signed_up), sum(confirmed), sum(came), greatest(sum(came) - sum(net), 0)
FROM (
  SELECT letter, date_trunc('hour', created_at) AS hour, 1 AS signed_up, 0 AS confirmed, 0 AS came, 0 AS net
  FROM pending
  UNION ALL SELECT letter, date_trunc('hour', signed_at), 1, 0, 0, 0
  FROM signature WHERE import IS NULL AND signed_at IS NOT NULL
  UNION ALL SELECT letter, date_trunc('hour', listed_at), 0, 1, (kind = 'person')::integer, 0
  FROM signature WHERE import IS NULL
  UNION ALL SELECT letter, hour, 0, 0, 0, people FROM count_hour
) AS h
GROUP BY letter, hour;

-- An organizer's last act of today, without the thousands that were a campaign's.
DROP INDEX log_organizer;
CREATE INDEX log_last ON log (letter, organizer, at DESC, id DESC) WHERE undoes IS NULL AND campaign IS NULL;
-- Who changed the state of a letter last: one of a few rows among all the acts on its signatures.
CREATE INDEX log_of_letter ON log (letter, id DESC) WHERE act LIKE 'letter.%';

-- Those who signed in one burst.
CREATE INDEX signature_queue_group ON signature (letter, group_number, listed_at DESC, id DESC)
  WHERE group_number IS NOT NULL;
