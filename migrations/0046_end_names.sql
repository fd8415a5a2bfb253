-- Names end as the letter says, and a name can be hidden from a date on; what was erased then is empty.

-- names_until: on that day (UTC) they are deleted. names_days: so many days after the first delivery. The earlier one
-- counts; with neither the names stay. names_ended_at: since then none is stored any more; names_erased_at: all are gone.
ALTER TABLE letter
  ADD COLUMN names_until date,
  ADD COLUMN names_days smallint CHECK (names_days BETWEEN 1 AND 3650),
  ADD COLUMN names_ended_at timestamptz,
  ADD COLUMN names_erased_at timestamptz,
  ADD CONSTRAINT letter_names_ended_is_closed CHECK (names_ended_at IS NULL OR state IN ('closed', 'archived', 'gone')),
  ADD CONSTRAINT letter_names_erased_have_ended CHECK (names_erased_at IS NULL OR names_ended_at IS NOT NULL);

-- erased_at: when the name was deleted although the signature stays: its letter's names ended, or it was removed long ago.
-- visible_until: on that day (UTC) the name is hidden; hide_as says for whom it stays then.
ALTER TABLE signature
  ADD COLUMN erased_at timestamptz,
  ADD COLUMN visible_until date,
  ADD COLUMN hide_as visibility,
  ADD CONSTRAINT signature_erased_is_nameless CHECK (
    erased_at IS NULL OR num_nonnulls(name, affiliation, city, name_key, "position", private, sealed) = 0),
  ADD CONSTRAINT signature_hides_what_is_public CHECK (
    (visible_until IS NULL) = (hide_as IS NULL)
    AND (visible_until IS NULL OR visibility = 'public' AND hide_as <> 'public' AND state <> 'withdrawn')
    AND NOT (kind = 'organization' AND hide_as = 'counted'));
CREATE INDEX signature_visible_until ON signature (visible_until) WHERE visible_until IS NOT NULL;

-- Nothing is confirmed once the names have ended: its form has a name.
CREATE OR REPLACE FUNCTION takes_confirmations(l letter) RETURNS boolean STABLE LANGUAGE sql AS $$
  SELECT l.names_ended_at IS NULL AND CASE l.state
    WHEN 'open' THEN l.closes_at IS NULL OR l.closes_at > now() - interval '24 hours'
    WHEN 'closed' THEN coalesce(l.closed_at > now() - interval '24 hours', false)
    ELSE false
  END
$$;
