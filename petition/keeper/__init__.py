"""The keeper: a small process that holds the second key of the digests. Knows nothing of petitions."""
