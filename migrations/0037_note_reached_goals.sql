-- Organizers are told once that a goal has been reached: which one last, and for whom it still waits to be mailed.
-- What was reached before is no news.

ALTER TABLE letter ADD COLUMN goal_reached integer NOT NULL DEFAULT 0;

UPDATE letter l SET goal_reached = coalesce((
  SELECT max(g.goal) FROM count c CROSS JOIN LATERAL unnest(l.goal || l.next_goals) AS g (goal)
  WHERE c.letter = l.id AND g.goal <= c.people + c.organizations), 0)
WHERE l.goal IS NOT NULL;

ALTER TABLE organizer ADD COLUMN waiting_goals jsonb NOT NULL DEFAULT '[]'; -- [letter, goal] of each
