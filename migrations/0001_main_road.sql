-- The main road: letters and their versions, pending and confirmed signatures, the count, mail, limits.

CREATE TYPE letter_state AS ENUM ('draft', 'open', 'closed', 'archived');
CREATE TYPE kind AS ENUM ('person', 'organization');
CREATE TYPE visibility AS ENUM ('public', 'organizers', 'counted');
CREATE TYPE signature_state AS ENUM ('held', 'confirmed', 'withdrawn', 'removed');
CREATE TYPE party_role AS ENUM ('initiator', 'addressee');

-- One row: the key under which "never mail me again" is remembered, wrapped under SECRET_KEY.
CREATE TABLE installation (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  wrapped_suppression_key bytea NOT NULL
);

CREATE TABLE letter (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9-]{3,64}$'),
  state letter_state NOT NULL DEFAULT 'draft',
  goal integer CHECK (goal > 0),
  opened_at timestamptz,
  closes_at timestamptz,
  closed_at timestamptz,
  names_in_search boolean NOT NULL DEFAULT false, -- may people's names stand where search engines and archives look?
  wrapped_digest_key bytea,                       -- null once destroyed
  wrapped_name_key bytea,                         -- null once destroyed
  rules_version smallint NOT NULL,                -- of the canonical-address rules, frozen when the letter opens
  version smallint,                               -- the published one; null in a draft
  revision bigint NOT NULL DEFAULT 1,             -- moves with every change that a kept page shows
  created_at timestamptz NOT NULL DEFAULT now()
);

-- An open letter past its closing time is closed, whether or not the worker has written that down yet.
CREATE FUNCTION effective_state(l letter) RETURNS letter_state STABLE LANGUAGE sql AS $$
  SELECT CASE WHEN l.state = 'open' AND l.closes_at <= now() THEN 'closed' ELSE l.state END
$$;

-- Whoever signed in time may confirm until a day after the letter closed.
CREATE FUNCTION takes_confirmations(l letter) RETURNS boolean STABLE LANGUAGE sql AS $$
  SELECT CASE l.state
    WHEN 'open' THEN l.closes_at IS NULL OR l.closes_at > now() - interval '24 hours'
    WHEN 'closed' THEN coalesce(l.closed_at > now() - interval '24 hours', false)
    ELSE false
  END
$$;

CREATE TABLE party (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  role party_role NOT NULL,
  position smallint NOT NULL,
  names jsonb NOT NULL, -- {"en": "…", "ru": "…"}
  url text,
  PRIMARY KEY (letter, role, position)
);

-- The text being written; readers see a version.
CREATE TABLE translation (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  lang text NOT NULL,
  title text NOT NULL,
  markdown text NOT NULL,
  PRIMARY KEY (letter, lang)
);

CREATE TABLE version (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  number smallint NOT NULL,
  digest text NOT NULL,   -- SHA-256 over all languages, hexadecimal
  published_at timestamptz NOT NULL DEFAULT now(),
  texts jsonb NOT NULL,   -- {"en": {"title": "…", "markdown": "…", "html": "…"}}
  note jsonb,             -- why it changed, per language
  signed_before bigint NOT NULL,
  PRIMARY KEY (letter, number)
);

-- A table of its own, any number per address: a misspelt first try locks nobody out.
CREATE TABLE pending (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  id bigint NOT NULL,     -- random; becomes the signature's
  kind kind NOT NULL,
  digest bytea NOT NULL,  -- of the canonical address, under the letter's digest key
  fields bytea NOT NULL,  -- what was typed, encrypted under the letter's name key
  sealed bytea NOT NULL,  -- the address, sealed to the contact key
  version smallint NOT NULL,
  consent smallint NOT NULL,
  read_lang text NOT NULL,
  mail_lang text NOT NULL,
  signals jsonb,
  network bytea,          -- digest under a key of the day
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (letter, id)
);
CREATE INDEX pending_digest ON pending (letter, digest);
CREATE INDEX pending_created_at ON pending (created_at);

CREATE TABLE organization (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  id bigint NOT NULL,
  name_en text,
  name_ru text,
  website text,
  key_en text,            -- folded name: what two representatives of one organization agree on
  key_ru text,
  name_key text NOT NULL, -- folded words of both names, for the search
  merged_into bigint,
  listed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (letter, id),
  CHECK (name_en IS NOT NULL OR name_ru IS NOT NULL)
);
CREATE INDEX organization_key_en ON organization (letter, key_en) WHERE key_en IS NOT NULL;
CREATE INDEX organization_key_ru ON organization (letter, key_ru) WHERE key_ru IS NOT NULL;
CREATE INDEX organization_listed ON organization (letter, listed_at DESC, id DESC) WHERE merged_into IS NULL;

CREATE TABLE signature (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  id bigint NOT NULL,
  organization bigint,
  signed_at timestamptz,
  listed_at timestamptz NOT NULL,
  kind kind NOT NULL,
  state signature_state NOT NULL,
  visibility visibility NOT NULL,
  version smallint,       -- null if imported
  consent smallint,
  import integer,
  country text CHECK (country ~ '^[A-Z]{2}$'),
  read_lang text,
  mail_lang text,
  digest bytea,
  import_key bytea,
  name text,              -- these five only where everyone may see them
  affiliation text,
  city text,
  name_key text,
  "position" text,
  private bytea,          -- the same, encrypted under the letter's name key, where only organizers may
  signals jsonb,
  network bytea,
  PRIMARY KEY (letter, id),
  FOREIGN KEY (letter, organization) REFERENCES organization (letter, id),
  CHECK (visibility <> 'counted' OR (name IS NULL AND private IS NULL AND affiliation IS NULL AND city IS NULL)),
  CHECK (visibility = 'public' OR (name IS NULL AND name_key IS NULL AND affiliation IS NULL AND city IS NULL)),
  CHECK (kind = 'organization' OR organization IS NULL),
  CHECK (state <> 'withdrawn' OR (digest IS NULL AND name IS NULL AND private IS NULL AND city IS NULL))
);
CREATE UNIQUE INDEX signature_one_per_mailbox ON signature (letter, kind, digest) WHERE digest IS NOT NULL;
CREATE UNIQUE INDEX signature_import_key ON signature (letter, import_key) WHERE import_key IS NOT NULL;
CREATE INDEX signature_listed ON signature (letter, kind, listed_at DESC, id DESC)
  WHERE state = 'confirmed' AND visibility = 'public';

-- The words of a name, each with its letter in front ("7:иванов"): an index over them finds the people of one letter
-- without reading those of the same name in others, by beginnings too, and needs no extension.
CREATE FUNCTION name_words(letter integer, name_key text) RETURNS tsvector IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
  SELECT array_to_tsvector(string_to_array(
    letter::text || ':' || replace(name_key, ' ', ' ' || letter::text || ':'), ' '))
$$;
-- Without fastupdate: a search would have to read through whatever has not been sorted in yet.
CREATE INDEX signature_words ON signature USING gin (name_words(letter, name_key)) WITH (fastupdate = off)
  WHERE state = 'confirmed' AND visibility = 'public' AND kind = 'person';
CREATE INDEX signature_organization ON signature (letter, organization) WHERE organization IS NOT NULL;
CREATE INDEX signature_held ON signature (letter, id) WHERE state = 'held';

-- The words that stand in public names, so that a typing error is looked for among words, not among people. Two words
-- that are one error apart become the same when a character is left out of one or both, so each word stands here with
-- the checksums of all that is left of it then (salted with letter and kind). This finds every error in words of any
-- length, which trigrams do not.
CREATE TABLE name_word (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  kind kind NOT NULL,
  word text COLLATE "C" NOT NULL,
  near integer[] NOT NULL,
  PRIMARY KEY (letter, kind, word)
);
CREATE INDEX name_word_near ON name_word USING gin (near) WITH (gin_pending_list_limit = 512);

-- Addresses kept after confirmation, and why.
CREATE TABLE contact (
  letter integer NOT NULL,
  signature bigint NOT NULL,
  purpose text NOT NULL CHECK (purpose IN ('updates', 'representative')),
  sealed bytea NOT NULL,
  until timestamptz,
  PRIMARY KEY (letter, signature, purpose),
  FOREIGN KEY (letter, signature) REFERENCES signature (letter, id) ON DELETE CASCADE
);
CREATE INDEX contact_until ON contact (until) WHERE until IS NOT NULL;

CREATE TABLE count (
  letter integer PRIMARY KEY REFERENCES letter ON DELETE CASCADE,
  people bigint NOT NULL DEFAULT 0 CHECK (people >= 0),
  organizations bigint NOT NULL DEFAULT 0 CHECK (organizations >= 0),
  hidden bigint NOT NULL DEFAULT 0 CHECK (hidden >= 0),
  imported bigint NOT NULL DEFAULT 0 CHECK (imported >= 0),
  changed_at timestamptz NOT NULL DEFAULT now()
);

-- How the count moved, hour by hour (differences, so that a withdrawal stands in the hour it happened).
CREATE TABLE count_hour (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  hour timestamptz NOT NULL,
  people bigint NOT NULL DEFAULT 0,
  organizations bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (letter, hour)
);

-- Addresses that a moderator removed: they cannot sign this letter again.
CREATE TABLE bar (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  digest bytea NOT NULL,
  PRIMARY KEY (letter, digest)
);

-- A challenge is used up by the signature it was solved for, in that signature's transaction.
CREATE TABLE used_challenge (
  nonce bytea PRIMARY KEY,
  expires_at timestamptz NOT NULL
);
CREATE INDEX used_challenge_expires_at ON used_challenge (expires_at);

-- Limits: digests under a key of the day, so that yesterday's rows say nothing to anyone. Unlogged: after a crash
-- of the database server the windows simply begin anew.
CREATE UNLOGGED TABLE limit_use (
  key bytea PRIMARY KEY,
  used integer NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX limit_use_expires_at ON limit_use (expires_at);

CREATE TABLE day_key (
  day date PRIMARY KEY,
  wrapped bytea NOT NULL
);

CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  purpose text NOT NULL CHECK (purpose IN ('sign', 'find')),
  kind kind,              -- what was being signed as; null for find
  pending bigint,         -- whose row holds the sealed address; null for find
  digest bytea NOT NULL,
  sealed bytea,           -- find only
  lang text NOT NULL,
  attempts smallint NOT NULL DEFAULT 0,
  due_at timestamptz NOT NULL DEFAULT now(), -- while leased: when the lease ends
  lease bigint,
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((purpose = 'find') = (sealed IS NOT NULL))
);
CREATE INDEX outbox_due_at ON outbox (due_at);

-- What relays refused for good: a code and a time, no address.
CREATE TABLE refused_mail (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  refused_at timestamptz NOT NULL DEFAULT now(),
  code smallint NOT NULL
);
CREATE INDEX refused_mail_letter ON refused_mail (letter, refused_at);

-- "Never mail me again": keyed digests of addresses.
CREATE TABLE suppressed (
  digest bytea PRIMARY KEY,
  since timestamptz NOT NULL DEFAULT now()
);
