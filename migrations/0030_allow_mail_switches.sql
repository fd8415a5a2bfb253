-- Letters are read and signed by mail: a switch that stops it, and one that allows it for a letter marked as sensitive.

ALTER TABLE switch DROP CONSTRAINT switch_name_check;
ALTER TABLE switch ADD CONSTRAINT switch_name_check
  CHECK (name IN ('stop', 'hold', 'captcha', 'hide_list', 'banner', 'read_only', 'stop_mail', 'mail_in'));
