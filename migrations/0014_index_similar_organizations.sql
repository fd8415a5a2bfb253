-- Similar organizations by the beginnings of the words in their names and by website; the log without bulk acts' steps.

-- "7:pere" for each word of both names of an organization of letter 7: four Latin letters, without legal forms.
CREATE FUNCTION organization_tokens(letter integer, name_en text, name_ru text) RETURNS text[]
IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
  SELECT coalesce(array_agg(DISTINCT letter::text || ':' || left(word, 4)), '{}')
  FROM regexp_split_to_table(
    translate(
      replace(replace(replace(replace(replace(replace(replace(
        lower(coalesce(name_en, '') || ' ' || coalesce(name_ru, '')),
        'ж', 'zh'), 'ц', 'ts'), 'ч', 'ch'), 'ш', 'sh'), 'щ', 'sch'), 'ю', 'yu'), 'я', 'ya'),
      'абвгдеёзийклмнопрстуфхыэіїєґъь', 'abvgdeeziiklmnoprstufhyeiieg'),
    '[^a-z0-9]+') AS word
  WHERE length(word) > 1 AND word NOT IN (
    'ooo', 'oao', 'zao', 'pao', 'ao', 'nao', 'ano', 'nko', 'ip', 'obschestvo', 'ogranichennoi', 'otvetstvennostyu',
    'llc', 'ltd', 'limited', 'inc', 'corp', 'corporation', 'co', 'company', 'gmbh', 'ev', 'ngo', 'the', 'and', 'of')
$$;
CREATE INDEX organization_tokens ON organization USING gin (organization_tokens(letter, name_en, name_ru))
  WITH (fastupdate = off);

CREATE FUNCTION website_host(website text) RETURNS text IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
  SELECT lower(substring(website FROM '^[A-Za-z]+://(?:[^/@]*@)?(?:[Ww]{3}\.)?([^/:?#]+)'))
$$;
CREATE INDEX organization_host ON organization (letter, website_host(website)) WHERE website IS NOT NULL;

-- The steps of bulk acts are folded on the log's page; its filters are an act, a person (log_organizer), a day
-- (log_at).
CREATE INDEX log_folded ON log (letter, id DESC) WHERE campaign IS NULL OR act NOT LIKE 'signature.%';
CREATE INDEX log_act ON log (letter, act, id DESC) WHERE campaign IS NULL OR act NOT LIKE 'signature.%';
