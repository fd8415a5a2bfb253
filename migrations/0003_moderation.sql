-- Moderation: flags and decisions on signatures, what undoing needs, notes, reports by readers, campaigns.

-- flags: why somebody should look (the rules are in petition/signatures/flags.py); empty once somebody has.
-- group_number: random, the same for all who signed in one burst. removed_from: where bringing back leads to.
-- last_act: the row of the log that brought the signature to where it stands; null if nobody has decided anything.
ALTER TABLE signature
  ADD COLUMN flags text[] NOT NULL DEFAULT '{}',
  ADD COLUMN group_number bigint,
  ADD COLUMN removed_from signature_state,
  ADD COLUMN removed_for text CHECK (removed_for ~ '^[a-z_]{1,40}$'),
  ADD COLUMN last_act bigint;

-- The queue, newest first: all of it, and what a filter leaves of it where that may be little.
CREATE INDEX signature_queue ON signature (letter, listed_at DESC, id DESC);
CREATE INDEX signature_queue_state ON signature (letter, state, listed_at DESC, id DESC) WHERE state <> 'confirmed';
CREATE INDEX signature_queue_flagged ON signature (letter, listed_at DESC, id DESC) WHERE flags <> '{}';
CREATE INDEX signature_queue_country ON signature (letter, country, listed_at DESC, id DESC) WHERE country IS NOT NULL;
CREATE INDEX signature_queue_organizations ON signature (letter, listed_at DESC, id DESC) WHERE kind = 'organization';
CREATE INDEX signature_queue_imported ON signature (letter, listed_at DESC, id DESC) WHERE import IS NOT NULL;
-- For the worker, which forgets networks within a day.
CREATE INDEX signature_network ON signature (letter, signed_at) WHERE network IS NOT NULL;

-- Who follows a merged organization when that one is merged, too.
CREATE INDEX organization_merged ON organization (letter, merged_into) WHERE merged_into IS NOT NULL;

-- An act on a great many is one row of the log for each batch; these rows name their campaign. Undoing is an act too.
ALTER TABLE log ADD COLUMN campaign integer, ADD COLUMN undoes bigint;
CREATE INDEX log_campaign ON log (campaign, id) WHERE campaign IS NOT NULL;
CREATE INDEX log_undoes ON log (undoes) WHERE undoes IS NOT NULL;
CREATE INDEX log_at ON log (letter, at);
CREATE INDEX log_organizer ON log (letter, organizer, id DESC);

-- What an act on names replaced, so that it can be undone. The log itself never holds what somebody typed; this does,
-- encrypted under the letter's name key, and goes with the person or organization it is about.
CREATE TABLE past (
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  log bigint NOT NULL,
  signature bigint,
  organization bigint,
  fields bytea NOT NULL,
  PRIMARY KEY (letter, log),
  FOREIGN KEY (letter, signature) REFERENCES signature (letter, id) ON DELETE CASCADE,
  FOREIGN KEY (letter, organization) REFERENCES organization (letter, id) ON DELETE CASCADE
);
CREATE INDEX past_signature ON past (letter, signature) WHERE signature IS NOT NULL;
CREATE INDEX past_organization ON past (letter, organization) WHERE organization IS NOT NULL;

-- What moderators write down for each other, encrypted likewise.
CREATE TABLE note (
  letter integer NOT NULL,
  signature bigint NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  organizer integer REFERENCES organizer ON DELETE SET NULL,
  text bytea NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (letter, signature, id),
  FOREIGN KEY (letter, signature) REFERENCES signature (letter, id) ON DELETE CASCADE
);

-- What readers say about an entry of the list. Settled by the act that looked at it.
CREATE TABLE report (
  letter integer NOT NULL,
  signature bigint NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  reason text NOT NULL CHECK (reason ~ '^[a-z_]{1,40}$'),
  note bytea, -- encrypted likewise
  at timestamptz NOT NULL DEFAULT now(),
  settled_by bigint, -- row of the log
  PRIMARY KEY (letter, signature, id),
  FOREIGN KEY (letter, signature) REFERENCES signature (letter, id) ON DELETE CASCADE
);

-- One decision about everything that matches some conditions, carried out by the worker in steps, newest first.
CREATE TABLE campaign (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  letter integer NOT NULL REFERENCES letter ON DELETE CASCADE,
  organizer integer REFERENCES organizer ON DELETE SET NULL,
  act text NOT NULL CHECK (act IN ('approve', 'remove', 'back')),
  reason text CHECK (reason ~ '^[a-z_]{1,40}$'),
  conditions jsonb NOT NULL,
  state text NOT NULL DEFAULT 'draft'
    CHECK (state IN ('draft', 'running', 'paused', 'cancelled', 'done', 'reverting', 'reverted')),
  matched bigint NOT NULL,            -- when it was made
  changed bigint NOT NULL DEFAULT 0,  -- by it, and not reverted
  listed_at timestamptz NOT NULL,     -- looks at what was listed before (listed_at, signature): first, when it was made
  signature bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,
  CHECK (act <> 'remove' OR reason IS NOT NULL OR state = 'draft')
);
CREATE INDEX campaign_letter ON campaign (letter, id DESC);
CREATE INDEX campaign_under_way ON campaign (id) WHERE state IN ('running', 'reverting');
