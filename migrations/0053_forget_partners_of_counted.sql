-- A link made for one person would say who an only counted signature is of: such a signature has no partner.

WITH forgotten AS MATERIALIZED (
  SELECT letter, id, state, signals -> 'partner' AS partner FROM signature
  WHERE signals ? 'partner' AND visibility = 'counted' AND kind = 'person'
), stripped AS (
  UPDATE signature s SET signals = nullif(s.signals - 'partner', '{}') FROM forgotten f
  WHERE s.letter = f.letter AND s.id = f.id
)
UPDATE count_partner c SET people = c.people - f.people
FROM (SELECT letter, partner, count(*) AS people FROM forgotten WHERE state = 'confirmed' GROUP BY letter, partner) AS f
WHERE c.letter = f.letter AND to_jsonb(c.partner) = f.partner;
