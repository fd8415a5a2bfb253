-- When a relay's certificate ends: the desk and `petition check` say so while there is time to renew it.
ALTER TABLE relay ADD COLUMN tls_until timestamptz;
