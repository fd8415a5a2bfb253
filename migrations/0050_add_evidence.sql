-- Readers see how each organization is proven: by which evidence, and how many by each kind.

-- An organizer who vouches for an organization, and the name under which readers are told so.
CREATE TABLE voucher (
  letter integer NOT NULL,
  signature bigint NOT NULL,
  organizer integer NOT NULL REFERENCES organizer ON DELETE CASCADE,
  name text NOT NULL CHECK (length(name) BETWEEN 2 AND 120),
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (letter, signature, organizer),
  FOREIGN KEY (letter, signature) REFERENCES signature (letter, id) ON DELETE CASCADE
);
CREATE INDEX voucher_organizer ON voucher (organizer);

-- What proves the organization of one signature, the strongest first. The marks dns and well_known are days on which
-- the organization's domain named the letter.
CREATE FUNCTION evidence_of(s signature) RETURNS text[] STABLE LANGUAGE sql AS $$
  SELECT array_remove(ARRAY[
    CASE WHEN s.import IS NULL AND s.signals ? 'own_domain' THEN 'mailbox' END,
    CASE WHEN s.signals ? 'dns' THEN 'dns' END,
    CASE WHEN s.signals ? 'well_known' THEN 'well_known' END,
    CASE WHEN s.signals ? 'second' THEN 'second_mailbox' END,
    CASE WHEN EXISTS (SELECT FROM voucher v WHERE v.letter = s.letter AND v.signature = s.id) THEN 'vouched' END,
    CASE WHEN s.import IS NOT NULL THEN 'imported' END
  ], NULL)
$$;

-- How many organizations of a letter count, each under the strongest of its evidence; {"mailbox": 20, "reviewed": 1}.
CREATE FUNCTION evidence_counts(for_letter integer) RETURNS jsonb STABLE LANGUAGE sql AS $$
  SELECT coalesce(jsonb_object_agg(kind, number), '{}') FROM (
    SELECT kind, count(*) AS number FROM (
      SELECT CASE min(coalesce(array_position(
               '{mailbox,dns,well_known,second_mailbox,vouched,imported,reviewed}'::text[], e.kind), 7))
               WHEN 1 THEN 'mailbox' WHEN 2 THEN 'dns' WHEN 3 THEN 'well_known' WHEN 4 THEN 'second_mailbox'
               WHEN 5 THEN 'vouched' WHEN 6 THEN 'imported' ELSE 'reviewed' END AS kind
      FROM signature s LEFT JOIN LATERAL unnest(evidence_of(s)) AS e (kind) ON true
      WHERE s.letter = for_letter AND s.kind = 'organization' AND s.state = 'confirmed' AND s.organization IS NOT NULL
      GROUP BY s.organization
    ) AS organizations GROUP BY kind
  ) AS kinds
$$;

-- With the count of the step: how the organizations in it are proven.
ALTER TABLE count_step ADD COLUMN evidence jsonb NOT NULL DEFAULT '{}';
UPDATE count_step SET evidence = evidence_counts(letter) WHERE is_small;
