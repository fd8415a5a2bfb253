-- Indexes over checksums become small where many share an entry: this is what they share, the first 16 bits.
CREATE FUNCTION first_bits(numbers integer[]) RETURNS integer[] IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
  SELECT ARRAY(SELECT DISTINCT n >> 16 FROM unnest(numbers) AS n)
$$;
