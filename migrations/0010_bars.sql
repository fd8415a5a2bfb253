-- Bars that stay, what a representative had typed before being let in, and the signatures of one partner.

-- kept: its signature was removed, and then deleted by the signatory; so no undoing can lift it. Bars without any
-- signature that could be brought back are such bars already.
ALTER TABLE bar ADD COLUMN kept boolean NOT NULL DEFAULT false;
UPDATE bar b SET kept = true WHERE NOT EXISTS (
  SELECT FROM signature s WHERE s.letter = b.letter AND s.kind IN ('person', 'organization') AND s.digest = b.digest
    AND s.state = 'removed');

-- The names with which a representative signed for an organization, encrypted: the entry that it became part of may be
-- called otherwise, and undoing the approval is to bring back what was there. Goes with the signature.
CREATE TABLE typed (
  letter integer NOT NULL,
  signature bigint NOT NULL,
  fields bytea NOT NULL,
  PRIMARY KEY (letter, signature),
  FOREIGN KEY (letter, signature) REFERENCES signature (letter, id) ON DELETE CASCADE
);

-- The queue of those who came by a partner's link, or by one partner's.
CREATE INDEX signature_queue_partner ON signature (letter, (signals -> 'partner'), listed_at DESC, id DESC)
  WHERE signals ? 'partner';
