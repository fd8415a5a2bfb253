-- The worker notes the provider of each mailbox in its row of ``pending`` before it mails the link. With room for the new
-- version in the same page no index is written again. On a partitioned database each partition has the setting.
DO $$
DECLARE
  part regclass;
BEGIN
  FOR part IN
    SELECT c.oid::regclass FROM pg_class c
    WHERE c.relkind = 'r'
      AND (c.oid = 'pending'::regclass OR c.oid IN (SELECT relid FROM pg_partition_tree('pending')))
  LOOP
    EXECUTE format('ALTER TABLE %s SET (fillfactor = 50)', part);
  END LOOP;
END
$$;
