-- A bulk act can be cancelled before a reason is chosen; indexes of what waits for a moderator.

-- A draft that removes has no reason until it is started, so neither has one that was cancelled as a draft.
ALTER TABLE campaign DROP CONSTRAINT campaign_check;
ALTER TABLE campaign ADD CONSTRAINT campaign_reason
  CHECK (act <> 'remove' OR reason IS NOT NULL OR state IN ('draft', 'cancelled'));

-- What waits: held for approval, or counted with a flag that no decision has settled. Removing settles flags, and
-- leaves them on the row as the reason why it was looked at.
CREATE INDEX signature_waiting ON signature (letter, listed_at DESC, id DESC)
  WHERE state = 'held' OR state = 'confirmed' AND flags <> '{}';
CREATE INDEX signature_waiting_flagged ON signature (letter, listed_at DESC, id DESC)
  WHERE state = 'confirmed' AND flags <> '{}';
CREATE INDEX signature_waiting_reported ON signature (letter, listed_at DESC, id DESC)
  WHERE state = 'confirmed' AND flags @> '{reported}';
CREATE INDEX signature_waiting_answered ON signature (letter, listed_at DESC, id DESC)
  WHERE state IN ('held', 'confirmed') AND flags @> '{answered}';

-- A second mailbox that said yes also set the mark of the representative's own: where both are set, that one is unknown.
UPDATE signature SET signals = (signals - 'own_domain') || '{"unchecked": true}'
WHERE kind = 'organization' AND signals ?& '{second,own_domain}';

-- Reports of signatures that have been removed since are settled by that act.
UPDATE report r SET settled_by = s.last_act FROM signature s
WHERE s.letter = r.letter AND s.id = r.signature AND r.settled_by IS NULL AND s.state = 'removed'
  AND s.last_act IS NOT NULL;
