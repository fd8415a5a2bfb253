-- The count by source (confirmed here, from a list, on paper), its history by the date of signing, and a signal for caches.

-- People and organizations of ``imported`` that came with files; the rest of it are tallies.
ALTER TABLE count
  ADD COLUMN listed_people bigint NOT NULL DEFAULT 0 CHECK (listed_people >= 0),
  ADD COLUMN listed_organizations bigint NOT NULL DEFAULT 0 CHECK (listed_organizations >= 0);

-- What files added stands in the hour of signing, as far as a row has it, else in that of the import; ``listed`` says
-- how much of an hour that is, people and organizations together. A tally stands at the beginning of its day.
ALTER TABLE count_hour ADD COLUMN listed bigint NOT NULL DEFAULT 0;

-- How many of ``signed_before`` had come with files and as tallies: those are counted anew by the date of signing.
ALTER TABLE version ADD COLUMN imported_before bigint NOT NULL DEFAULT 0;

-- Moves when a name or a text was taken back: copies of pages from before must not be served, not even while the
-- database is away.
ALTER TABLE letter ADD COLUMN purges bigint NOT NULL DEFAULT 0;

UPDATE count c SET listed_people = s.people, listed_organizations = s.organizations
FROM (
  SELECT letter, count(*) FILTER (WHERE kind = 'person') AS people,
         count(DISTINCT organization) FILTER (WHERE kind = 'organization') AS organizations
  FROM signature WHERE state = 'confirmed' AND import IS NOT NULL GROUP BY letter
) AS s WHERE s.letter = c.letter;

UPDATE version v SET imported_before = least(v.signed_before,
  (SELECT count(*) FILTER (WHERE s.kind = 'person') + count(DISTINCT s.organization)
   FROM signature s JOIN intake i ON i.letter = s.letter AND i.number = s.import
   WHERE s.letter = v.letter AND s.state = 'confirmed' AND i.created_at <= v.published_at)
  + (SELECT coalesce(sum(t.people), 0) FROM tally t
     WHERE t.letter = v.letter AND t.ended_at IS NULL AND t.at <= v.published_at));

CREATE FUNCTION add_to_hour(letter integer, hour timestamptz, people bigint, organizations bigint, listed bigint)
RETURNS void LANGUAGE sql AS $$
  INSERT INTO count_hour AS h (letter, hour, people, organizations, listed) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (letter, hour) DO UPDATE SET people = h.people + excluded.people,
    organizations = h.organizations + excluded.organizations, listed = h.listed + excluded.listed
$$;

-- Each import stood in one hour, that in which it was made: the one with enough people that is nearest to its end.
DO $$
DECLARE
  one record;
  stood timestamptz;
BEGIN
  FOR one IN
    SELECT s.letter, s.import, coalesce(min(s.listed_at) FILTER (WHERE s.signed_at IS NULL), max(i.ended_at)) AS at,
           count(*) AS people
    FROM signature s JOIN intake i ON i.letter = s.letter AND i.number = s.import
    WHERE s.state = 'confirmed' AND s.kind = 'person' GROUP BY s.letter, s.import
  LOOP
    SELECT h.hour INTO stood FROM count_hour h WHERE h.letter = one.letter AND h.people >= one.people
    ORDER BY abs(extract(epoch FROM h.hour + interval '30 minutes' - coalesce(one.at, now()))) LIMIT 1;
    CONTINUE WHEN NOT FOUND;
    PERFORM add_to_hour(one.letter, stood, -one.people, 0, 0);
    PERFORM add_to_hour(one.letter, s.hour, s.people, 0, 0)
    FROM (SELECT date_trunc('hour', listed_at) AS hour, count(*) AS people FROM signature
          WHERE letter = one.letter AND import = one.import AND state = 'confirmed' AND kind = 'person' GROUP BY 1) AS s;
  END LOOP;
  FOR one IN
    SELECT o.letter, date_trunc('hour', o.listed_at) AS hour, max(i.ended_at) AS at, count(DISTINCT o.id) AS number
    FROM organization o JOIN signature s ON s.letter = o.letter AND s.organization = o.id
    JOIN intake i ON i.letter = s.letter AND i.number = s.import
    WHERE s.state = 'confirmed'
      AND NOT EXISTS (SELECT FROM signature c WHERE c.letter = o.letter AND c.organization = o.id
                      AND c.state = 'confirmed' AND c.import IS NULL)
    GROUP BY o.letter, s.import, 2
  LOOP
    SELECT h.hour INTO stood FROM count_hour h WHERE h.letter = one.letter AND h.organizations >= one.number
    ORDER BY abs(extract(epoch FROM h.hour + interval '30 minutes' - coalesce(one.at, now()))) LIMIT 1;
    CONTINUE WHEN NOT FOUND;
    PERFORM add_to_hour(one.letter, stood, 0, -one.number, 0);
    PERFORM add_to_hour(one.letter, one.hour, 0, one.number, 0);
  END LOOP;
END
$$;

-- Tallies that count: out of the hours in which they, and those they replace, were entered.
WITH RECURSIVE chain AS (
  SELECT letter, id, people, replaces, at FROM tally WHERE ended_at IS NULL
  UNION ALL SELECT t.letter, t.id, t.people, t.replaces, t.at FROM tally t JOIN chain c
  ON c.letter = t.letter AND c.replaces = t.id
)
SELECT add_to_hour(c.letter, date_trunc('hour', c.at), -c.people + coalesce(r.people, 0), 0, 0)
FROM chain c LEFT JOIN tally r ON r.letter = c.letter AND r.id = c.replaces;
SELECT add_to_hour(letter, counted_on::timestamp AT TIME ZONE 'UTC', people, 0, 0) FROM tally WHERE ended_at IS NULL;

SELECT add_to_hour(letter, hour, 0, 0, listed) FROM (
  SELECT letter, date_trunc('hour', listed_at) AS hour, count(*) AS listed FROM signature
  WHERE state = 'confirmed' AND import IS NOT NULL AND kind = 'person' GROUP BY 1, 2
) AS people;
SELECT add_to_hour(o.letter, date_trunc('hour', o.listed_at), 0, 0, count(*)) FROM organization o
WHERE EXISTS (SELECT FROM signature s WHERE s.letter = o.letter AND s.organization = o.id
              AND s.state = 'confirmed' AND s.import IS NOT NULL)
GROUP BY o.letter, date_trunc('hour', o.listed_at);
DROP FUNCTION add_to_hour;
