-- The database itself holds that what was erased is empty; rows of older versions are cleaned first. Dead rows go soon.

UPDATE signature SET visibility = 'counted', organization = NULL, country = NULL, read_lang = NULL, mail_lang = NULL,
       digest = NULL, name = NULL, affiliation = NULL, city = NULL, name_key = NULL, "position" = NULL, private = NULL,
       signals = NULL, network = NULL, domain = NULL, mail_host = NULL, flags = '{}', group_number = NULL
WHERE state = 'withdrawn' AND NOT (visibility = 'counted' AND flags = '{}'
  AND num_nonnulls(organization, country, read_lang, mail_lang, digest, name, affiliation, city, name_key, "position",
                   private, signals, network, domain, mail_host, group_number) = 0);
UPDATE signature SET visibility = 'organizers'
WHERE kind = 'organization' AND visibility = 'counted' AND state <> 'withdrawn';
UPDATE signature SET country = NULL, name_key = NULL, "position" = NULL
WHERE visibility = 'counted' AND num_nonnulls(country, name_key, "position") > 0;
UPDATE signature SET "position" = NULL WHERE visibility <> 'public' AND "position" IS NOT NULL;
UPDATE addressee SET sealed = NULL WHERE objected_at IS NOT NULL AND sealed IS NOT NULL;
UPDATE intake SET about = NULL WHERE state IN ('done', 'cancelled', 'failed', 'undone') AND about IS NOT NULL;
UPDATE letter SET goal = NULL, next_goals = '{}', opened_at = NULL, opening = NULL, closes_at = NULL, closed_at = NULL,
       wrapped_digest_key = NULL, wrapped_name_key = NULL, version = NULL, publish_at = NULL, publish_by = NULL
WHERE state = 'gone';

-- Withdrawn: nothing says who it was. (The import key of an imported row stays: a digest.)
ALTER TABLE signature ADD CONSTRAINT signature_withdrawn_is_empty CHECK (
  state <> 'withdrawn' OR visibility = 'counted' AND flags = '{}'
  AND num_nonnulls(organization, country, read_lang, mail_lang, digest, name, affiliation, city, name_key, "position",
                   private, signals, network, domain, mail_host, group_number) = 0) NOT VALID;
-- Nobody is to see the name: none is there, in no form.
ALTER TABLE signature ADD CONSTRAINT signature_counted_is_nameless CHECK (
  visibility <> 'counted'
  OR num_nonnulls(name, affiliation, city, name_key, "position", private, country, organization) = 0) NOT VALID;
ALTER TABLE signature ADD CONSTRAINT signature_organization_is_named CHECK (
  kind = 'person' OR visibility <> 'counted' OR state = 'withdrawn') NOT VALID;
-- Only organizers are to see the name: it is encrypted.
ALTER TABLE signature ADD CONSTRAINT signature_hidden_is_encrypted CHECK (
  visibility = 'public' OR num_nonnulls(name, affiliation, city, name_key, "position") = 0) NOT VALID;
ALTER TABLE addressee ADD CONSTRAINT addressee_objected_has_no_address CHECK (
  objected_at IS NULL OR sealed IS NULL) NOT VALID;
ALTER TABLE intake ADD CONSTRAINT intake_ended_is_empty CHECK (
  state NOT IN ('done', 'cancelled', 'failed', 'undone') OR about IS NULL) NOT VALID;
ALTER TABLE letter ADD CONSTRAINT letter_gone_is_empty CHECK (
  state <> 'gone' OR next_goals = '{}'
  AND num_nonnulls(goal, opened_at, opening, closes_at, closed_at, wrapped_digest_key, wrapped_name_key, version,
                   publish_at, publish_by) = 0) NOT VALID;

ALTER TABLE signature VALIDATE CONSTRAINT signature_withdrawn_is_empty;
ALTER TABLE signature VALIDATE CONSTRAINT signature_counted_is_nameless;
ALTER TABLE signature VALIDATE CONSTRAINT signature_organization_is_named;
ALTER TABLE signature VALIDATE CONSTRAINT signature_hidden_is_encrypted;
ALTER TABLE addressee VALIDATE CONSTRAINT addressee_objected_has_no_address;
ALTER TABLE intake VALIDATE CONSTRAINT intake_ended_is_empty;
ALTER TABLE letter VALIDATE CONSTRAINT letter_gone_is_empty;

-- A deleted row stays in PostgreSQL's files until its table is vacuumed: by default a fifth of it may be dead.
DO $$
DECLARE
  small text;
BEGIN
  FOREACH small IN ARRAY ARRAY['pending', 'contact', 'outbox', 'note', 'message', 'report', 'past', 'typed', 'undone',
                               'intake_part', 'intake_problem', 'address_part', 'package', 'addressee_answer',
                               'addressee_event', 'addressee_file', 'name_reading', 'entry', 'sign_in_ask',
                               'session', 'invitation', 'used_challenge'] LOOP
    EXECUTE format('ALTER TABLE %I SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 100)',
                   small);
  END LOOP;
END
$$;
ALTER TABLE signature SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);
ALTER TABLE organization SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);
