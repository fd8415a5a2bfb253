-- A letter's own date, where it is older than its publication here: a day or a moment (UTC), as it was typed.
ALTER TABLE letter ADD COLUMN opening text;
