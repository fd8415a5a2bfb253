-- Organizations whose names look alike in other letters («АСЕ» and "ACE") are shown to moderators.

-- "7:ace" for each word of both names of an organization of letter 7, with letters and digits as the Latin ones that they
-- look like; the same table is in ``signatures.look_alikes``.
CREATE FUNCTION organization_shapes(letter integer, name_en text, name_ru text) RETURNS text[]
IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
  SELECT coalesce(array_agg(DISTINCT letter::text || ':' || left(word, 40)), '{}')
  FROM regexp_split_to_table(
    translate(
      lower(coalesce(name_en, '') || ' ' || coalesce(name_ru, '')),
      'авекмнорстухзгпьіїёѕԁԛԝјӏһαβεζηικμνορτυχ01iıéèêëáàâäãåóòôöõøúùûüíìîïçñý',
      'abekmhopctyx3rnbllesdqwjlhabezhlkmnoptyxollleeeeaaaaaaoooooouuuullllcny'),
    E'[\\s!-/:-@\\[-`{-~«»„“”‘’–—…№]+') AS word
  WHERE length(word) > 1
$$;
CREATE INDEX organization_shapes ON organization USING gin (organization_shapes(letter, name_en, name_ru))
  WITH (fastupdate = off);
