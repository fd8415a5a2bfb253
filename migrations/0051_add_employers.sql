-- Employees without names: people who sign by a mailbox of their employer are shown by its name and a number only.

-- Nothing of an employer ever changes but whether it is offered: a signature says what its signatory agreed to.
CREATE TABLE employer (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  id integer GENERATED ALWAYS AS IDENTITY,
  names jsonb NOT NULL,      -- language → name
  domains text[] NOT NULL CHECK (cardinality(domains) BETWEEN 1 AND 20), -- in ASCII form, of its mailboxes
  added_at timestamptz NOT NULL DEFAULT now(),
  stopped_at timestamptz,    -- no longer offered; who has signed goes on counting
  PRIMARY KEY (letter, id)
);

-- The name of an employee is never written, not even encrypted. The column goes with everything that names a person.
ALTER TABLE signature ADD COLUMN employer integer;
ALTER TABLE signature ADD CONSTRAINT signature_employer FOREIGN KEY (letter, employer) REFERENCES employer (letter, id)
  NOT VALID;
ALTER TABLE signature ADD CONSTRAINT signature_employee_is_nameless CHECK (
  employer IS NULL OR kind = 'person' AND visibility = 'counted' AND state <> 'withdrawn' AND erased_at IS NULL
  AND num_nonnulls(name, affiliation, city, name_key, "position", private, sealed, country, import) = 0) NOT VALID;
ALTER TABLE signature VALIDATE CONSTRAINT signature_employer;
ALTER TABLE signature VALIDATE CONSTRAINT signature_employee_is_nameless;
CREATE INDEX signature_employees ON signature (letter, employer) WHERE employer IS NOT NULL;
