-- States at the desk (a letter can be taken down), updates on a letter, kill switches.

-- Taken down: the short name stays taken and answers 410, everything else about the letter is deleted.
ALTER TYPE letter_state ADD VALUE 'gone';

-- What is switched on, for one letter or for the whole installation. A switch that is off keeps its texts, and what it
-- was before the last change, so that every change can be undone. The texts go with their letter.
CREATE TABLE switch (
  letter integer REFERENCES letter ON DELETE CASCADE,  -- null: the installation
  name text NOT NULL CHECK (name IN ('stop', 'hold', 'captcha', 'hide_list', 'banner', 'read_only')),
  value text NOT NULL CHECK (value IN ('off', 'on', 'stronger')),
  texts jsonb NOT NULL DEFAULT '{}',                   -- {"en": "…", "ru": "…"}: why, or what the banner says
  former_value text NOT NULL DEFAULT 'off' CHECK (former_value IN ('off', 'on', 'stronger')),
  former_texts jsonb NOT NULL DEFAULT '{}',
  revision bigint NOT NULL DEFAULT 1,                  -- moves with every change: whoever was slower sees that
  since timestamptz NOT NULL DEFAULT now(),
  CHECK (value <> 'stronger' OR name = 'captcha')
);
CREATE UNIQUE INDEX switch_one ON switch (coalesce(letter, 0), name);

-- Is this switched on for the letter, by its own switch or the installation's? The table has a handful of rows.
CREATE FUNCTION is_switched(letter integer, VARIADIC names text[]) RETURNS boolean STABLE LANGUAGE sql AS $$
  SELECT EXISTS (
    SELECT FROM switch w
    WHERE (w.letter = $1 OR w.letter IS NULL) AND w.name = ANY($2) AND w.value <> 'off'
  )
$$;

-- News on a letter. What readers see stands in html and title of `shown`; `texts` is what is being written.
CREATE TABLE news (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  id integer GENERATED ALWAYS AS IDENTITY,
  state text NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'published', 'removed')),
  texts jsonb NOT NULL,                                -- {"en": {"title": "…", "markdown": "…"}}
  shown jsonb,                                         -- {"en": {"title": "…", "markdown": "…", "html": "…"}}
  revision bigint NOT NULL DEFAULT 1,
  written_at timestamptz NOT NULL DEFAULT now(),
  published_at timestamptz,                            -- for the first time
  edited_at timestamptz,                               -- when readers last got another text
  PRIMARY KEY (letter, id),
  CHECK (state <> 'published' OR (shown IS NOT NULL AND published_at IS NOT NULL))
);
CREATE INDEX news_shown ON news (letter, published_at DESC, id DESC) WHERE state = 'published';
