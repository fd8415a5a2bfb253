-- A recovery code has 60 random bits: its stored form needs a password hash, not only a key (OWASP ASVS 5.0, 6.5.2).

-- Null until the worker has hashed the keyed digest that older versions stored; the code passes before and after.
ALTER TABLE recovery_code ADD COLUMN salt bytea CHECK (length(salt) = 16);
CREATE INDEX recovery_code_unhashed ON recovery_code (organizer) WHERE salt IS NULL;
