-- Fewer bytes for a signature: no row stands in two indexes of the same order, and checksums share entries.
-- outside a transaction

-- With those of ``signature_listed`` all rows of a letter, by time (petition/core/by_time.py).
CREATE INDEX CONCURRENTLY IF NOT EXISTS signature_unlisted ON signature (letter, listed_at DESC, id DESC)
  WHERE (state <> 'confirmed' OR visibility <> 'public' OR kind <> 'person');

-- 16 bits of the checksums of words and of the beginnings of tokens. What shares no more than these is passed over.
CREATE INDEX CONCURRENTLY IF NOT EXISTS name_word_checksums ON name_word USING gin (first_bits(near))
  WITH (gin_pending_list_limit = 512);
CREATE INDEX CONCURRENTLY IF NOT EXISTS count_log_bundle_tokens ON count_log_bundle USING gin (first_bits(prefixes));

-- Last: processes of the release before are slower without them, and answer the same.
DROP INDEX CONCURRENTLY IF EXISTS signature_queue;
DROP INDEX CONCURRENTLY IF EXISTS name_word_near;
DROP INDEX CONCURRENTLY IF EXISTS count_log_bundle_prefixes;
