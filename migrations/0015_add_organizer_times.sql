-- Each organizer chooses a time zone, and when a mail says that something waits at the desk.

ALTER TABLE organizer
  ADD COLUMN zone text NOT NULL DEFAULT '' CHECK (zone ~ '^[A-Za-z0-9_+/-]{0,64}$'), -- IANA's name; '' is UTC
  ADD COLUMN waiting_mail text NOT NULL DEFAULT 'daily' CHECK (waiting_mail IN ('off', 'daily', 'soon')),
  -- The last day in the organizer's zone that had its morning mail, or needed none: a new organizer's first is tomorrow's.
  ADD COLUMN waiting_mail_on date NOT NULL DEFAULT current_date,
  -- Of the mail at once: when the last was asked for, and the numbers that it told of, by letter and kind.
  ADD COLUMN waiting_mailed_at timestamptz,
  ADD COLUMN waiting_mailed jsonb NOT NULL DEFAULT '{}';
