-- The count of a sensitive letter moves every ten minutes while it is small: all that readers see comes from one row.

CREATE TABLE count_step (
  letter integer PRIMARY KEY REFERENCES letter ON DELETE CASCADE,
  stepped_at timestamptz NOT NULL,
  is_small boolean NOT NULL,          -- false once it has grown large: then only the countries below are of the step
  people bigint NOT NULL,
  organizations bigint NOT NULL,
  hidden bigint NOT NULL,
  imported bigint NOT NULL,
  listed_people bigint NOT NULL,
  listed_organizations bigint NOT NULL,
  signature_ids bigint[] NOT NULL,    -- counted at the step, so in the list; empty if large
  hours jsonb NOT NULL,               -- rows of count_hour; empty if large
  partners jsonb NOT NULL,            -- rows of count_partner; empty if large
  countries text[] NOT NULL,          -- that may be named: of enough people
  CHECK (is_small OR (signature_ids = '{}' AND hours = '[]' AND partners = '[]'))
);

-- What readers may know of a count. Everything public reads these, never the tables below them.
CREATE VIEW published_count AS
SELECT c.letter,
       coalesce(s.people, c.people) AS people,
       coalesce(s.organizations, c.organizations) AS organizations,
       coalesce(s.hidden, c.hidden) AS hidden,
       coalesce(s.imported, c.imported) AS imported,
       coalesce(s.listed_people, c.listed_people) AS listed_people,
       coalesce(s.listed_organizations, c.listed_organizations) AS listed_organizations,
       s.stepped_at AS counted_at,        -- null: now
       s.letter IS NOT NULL AS is_stepped
FROM count c LEFT JOIN count_step s ON s.letter = c.letter AND s.is_small;

CREATE VIEW published_hour AS
SELECT h.letter, h.hour, h.people, h.organizations FROM count_hour h
WHERE NOT EXISTS (SELECT FROM count_step s WHERE s.letter = h.letter AND s.is_small)
UNION ALL
SELECT s.letter, h.hour, h.people, h.organizations
FROM count_step s, jsonb_to_recordset(s.hours) AS h (hour timestamptz, people bigint, organizations bigint)
WHERE s.is_small;

CREATE VIEW published_partner AS
SELECT c.letter, c.partner, c.people, c.representatives FROM count_partner c
WHERE NOT EXISTS (SELECT FROM count_step s WHERE s.letter = c.letter AND s.is_small)
UNION ALL
SELECT c.letter, c.partner, coalesce(p.people, 0), coalesce(p.representatives, 0)
FROM count_partner c JOIN count_step s ON s.letter = c.letter AND s.is_small
LEFT JOIN jsonb_to_recordset(s.partners) AS p (partner integer, people bigint, representatives bigint)
  ON p.partner = c.partner;
