-- Three letters whose rows have the same ids, digests and addresses, so that a statement that forgets the letter shows.

-- Which transaction changed a row is not what is compared.
ALTER TABLE letter DISABLE TRIGGER letter_moves;
ALTER TABLE count DISABLE TRIGGER count_moves;
ALTER TABLE count_step DISABLE TRIGGER count_step_moves;
ALTER TABLE switch DISABLE TRIGGER switch_moves;

INSERT INTO organizer (name, lang, digest, sealed, created_at) VALUES ('Olga', 'en', '\x01', '\x02', '2026-01-01');
INSERT INTO letter (slug, state, rules_version, version, opened_at, created_at, wrapped_digest_key, wrapped_name_key)
SELECT 'letter-' || i, 'open', 1, 1, '2026-01-01', '2026-01-01', '\x01', '\x02' FROM generate_series(1, 3) i ORDER BY i;
INSERT INTO member (letter, organizer, role, since) SELECT id, 1, 'owner', '2026-01-01' FROM letter;
INSERT INTO translation (letter, lang, title, markdown) SELECT id, 'en', 'Title of ' || id, 'Text' FROM letter;
INSERT INTO version (letter, number, digest, published_at, texts, signed_before)
SELECT id, 1, 'd', '2026-01-01', '{"en": {"title": "t", "markdown": "m", "html": "h"}}', 0 FROM letter;
INSERT INTO count (letter, people, organizations, changed_at) SELECT id, 3, 1, '2026-01-01' FROM letter;
INSERT INTO count_hour (letter, hour, people) SELECT id, '2026-01-01', 3 FROM letter;
INSERT INTO organization (letter, id, name_en, website, key_en, name_key, listed_at)
SELECT id, o, 'Lighthouse of ' || id, 'https://letters.example', 'lighthouse', 'lighthouse', '2026-01-01'
FROM letter, generate_series(1, 2) o;
INSERT INTO intake (letter, number, state, created_at) SELECT id, n, 'done', '2026-01-01' FROM letter, generate_series(1, 2) n;
INSERT INTO signature (letter, id, organization, signed_at, listed_at, kind, state, visibility, version, country, read_lang,
  mail_lang, digest, name, name_key, flags, network, domain, mail_host, group_number, import, import_key, signals)
SELECT l.id, v.id, v.organization, '2026-01-01', '2026-01-02', v.kind, v.state, v.visibility, 1, v.country, 'en', 'en',
  decode(lpad(v.id::text, 2, '0'), 'hex'), v.name || ' of ' || l.id, lower(v.name), v.flags, '\x01', '\x01', '\x01', 1,
  v.import, CASE WHEN v.import IS NOT NULL THEN '\x01'::bytea END, '{}'
FROM letter l, (VALUES
  (1::bigint, NULL::bigint, 'person'::kind, 'confirmed'::signature_state, 'public'::visibility, 'DE', 'Anna', '{}'::text[],
   NULL::integer),
  (2, NULL, 'person', 'held', 'public', 'DE', 'Boris', '{burst}', NULL),
  (3, NULL, 'person', 'confirmed', 'public', 'FR', 'Clara', '{reported}', 1),
  (4, 1, 'organization', 'confirmed', 'public', NULL, 'Dora', '{}', NULL),
  (5, 2, 'organization', 'held', 'public', NULL, 'Emil', '{}', NULL),
  (6, NULL, 'person', 'removed', 'public', 'DE', 'Fedor', '{}', NULL)
) AS v (id, organization, kind, state, visibility, country, name, flags, import)
ORDER BY v.id, l.id;
INSERT INTO pending (letter, id, kind, digest, fields, sealed, version, consent, read_lang, mail_lang, created_at, domain)
SELECT l.id, p, 'person', decode(lpad(p::text, 2, '0'), 'hex'), '\x01', '\x02', 1, 1, 'en', 'en', '2026-01-01', '\x01'
FROM letter l, generate_series(1, 2) p ORDER BY p, l.id;
INSERT INTO contact (letter, signature, purpose, sealed, since, added_in)
SELECT l.id, s, 'updates', '\x01', '2026-01-01', '3' FROM letter l, generate_series(1, 3) s ORDER BY s, l.id;
INSERT INTO name_word (letter, kind, word, near)
SELECT l.id, k.kind, w, '{1}' FROM letter l, unnest('{person,organization}'::kind[]) k (kind), unnest('{anna,boris}'::text[]) w;
INSERT INTO typed (letter, signature, fields) SELECT id, 4, '\x01' FROM letter;
INSERT INTO other_link (letter, id, signature) SELECT id, 9, 1 FROM letter;
INSERT INTO note (letter, signature, id, organizer, text, at) OVERRIDING SYSTEM VALUE
SELECT id, 1, 1, 1, '\x01', '2026-01-01' FROM letter;
INSERT INTO message (letter, signature, id, organizer, text, at) OVERRIDING SYSTEM VALUE
SELECT id, 4, 1, 1, '\x01', '2026-01-01' FROM letter;
INSERT INTO report (letter, signature, id, reason, at) OVERRIDING SYSTEM VALUE SELECT id, 3, 1, 'fake', '2026-01-01' FROM letter;
INSERT INTO past (letter, log, signature, fields) SELECT id, 1, 1, '\x01' FROM letter;
INSERT INTO bar (letter, digest) SELECT id, '\x06' FROM letter;
INSERT INTO import_row (letter, import_key, number) SELECT id, '\x01', 1 FROM letter;
INSERT INTO undone (letter, number, signature, sealed, at) SELECT id, 1, 8, '\x01', '2026-01-01' FROM letter;
INSERT INTO news (letter, id, texts, written_at) OVERRIDING SYSTEM VALUE
SELECT id, 1, '{"en": {"title": "t", "markdown": "m"}}', '2026-01-01' FROM letter;
INSERT INTO mailing (letter, id, news, state, created_at, starts_at, started_at, next_at, texts, taken, recipients, unreached)
OVERRIDING SYSTEM VALUE
SELECT id, 1, 1, 'sending', '2026-01-01', '2026-01-01', '2026-01-01', '2026-01-01', '{}', '10:10:', 3, 3 FROM letter;
INSERT INTO mailing_stamp (letter, mailing, signature, due_at, first_at)
SELECT l.id, 1, s, '2026-01-01', '2026-01-01' FROM letter l, generate_series(1, 2) s ORDER BY s, l.id;
INSERT INTO partner (letter, id, name, title, created_at) OVERRIDING SYSTEM VALUE
SELECT id, 1, 'partner', 'Partner of ' || id, '2026-01-01' FROM letter;
INSERT INTO count_partner (letter, partner, people) SELECT id, 1, 1 FROM letter;
INSERT INTO tally (letter, id, people, counted_on, source, at) OVERRIDING SYSTEM VALUE
SELECT id, 1, 5, '2026-01-01', '{"en": "paper"}', '2026-01-01' FROM letter;
INSERT INTO count_log (letter, wrapped_receipt_key, size, begun_at) SELECT id, '\x01', 1, '2026-01-01' FROM letter;
INSERT INTO count_log_bundle (letter, number, entries, prefixes) SELECT id, n, '\x01', '{1}' FROM letter, generate_series(0, 1) n;
INSERT INTO count_log_tile (letter, level, number, hashes) SELECT id, 1, 1, '\x01' FROM letter;
INSERT INTO switch (letter, name, value) SELECT id, 'hold', 'on' FROM letter;
INSERT INTO outbox (letter, purpose, kind, pending, digest, lang, due_at, created_at)
SELECT id, 'sign', 'person', 1, '\x01', 'en', '2026-01-01', '2026-01-01' FROM letter;
UPDATE statistics_change SET hour = '2026-01-01';
UPDATE count_log_queue SET at = '2026-01-01';
