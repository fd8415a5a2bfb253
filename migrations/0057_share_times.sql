-- Fewer bytes once more: signatures of one moment share an entry where an index is in the order of time.
-- outside a transaction

-- Those that one transaction confirms have one time. Their ids are compared afterwards, a few at a time.
CREATE INDEX CONCURRENTLY IF NOT EXISTS signature_shown ON signature (letter, kind, listed_at DESC)
  WHERE state = 'confirmed' AND visibility = 'public';
CREATE INDEX CONCURRENTLY IF NOT EXISTS signature_not_shown ON signature (letter, listed_at DESC)
  WHERE (state <> 'confirmed' OR visibility <> 'public' OR kind <> 'person');

-- The desk's filter by country, in steps of a minute.
CREATE INDEX CONCURRENTLY IF NOT EXISTS signature_countries
  ON signature (letter, country, date_bin('1 minute', listed_at, '2000-01-01 00:00:00+00') DESC)
  WHERE country IS NOT NULL;

-- For searches: where in the table the newest rows are, in a few bytes for each 128 pages.
CREATE INDEX CONCURRENTLY IF NOT EXISTS signature_times ON signature USING brin (listed_at);

-- Last, for processes of the release before.
DROP INDEX CONCURRENTLY IF EXISTS signature_listed;
DROP INDEX CONCURRENTLY IF EXISTS signature_unlisted;
DROP INDEX CONCURRENTLY IF EXISTS signature_queue_country;
