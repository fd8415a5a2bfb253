-- The link of a later form of a mailbox leads to the signature of that mailbox after it was confirmed.

CREATE TABLE other_link (
  letter integer NOT NULL,
  id bigint NOT NULL,        -- the pending row's, which is in the mailed link
  signature bigint NOT NULL, -- the one of its mailbox
  PRIMARY KEY (letter, id),
  FOREIGN KEY (letter, signature) REFERENCES signature (letter, id) ON DELETE CASCADE
);
CREATE INDEX other_link_signature ON other_link (letter, signature);

-- Later forms that were confirmed had got the time of their signature.
WITH confirmed AS (
  DELETE FROM pending p USING signature s
  WHERE s.letter = p.letter AND s.kind = p.kind AND s.digest = p.digest AND s.signed_at = p.created_at
  RETURNING p.letter, p.id, s.id AS signature
)
INSERT INTO other_link (letter, id, signature) SELECT letter, id, signature FROM confirmed;
