-- Archives that are followed, and what destinations were asked to keep for good. ----------------------------------------

CREATE TABLE source_position (
    source text PRIMARY KEY,                     -- name in the settings
    archive text NOT NULL DEFAULT '',            -- what the archive calls itself
    change bigint,                               -- the last of its changes that was dealt with; NULL: never looked
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What a destination was asked to keep for good (storage commitment).
CREATE TABLE commitment (
    transaction_uid text PRIMARY KEY,
    delivery_id bigint NOT NULL REFERENCES delivery,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    answered_at timestamptz
);
CREATE INDEX commitment_delivery ON commitment (delivery_id);

-- People whom an identity provider vouches for.
ALTER TABLE account ADD COLUMN subject text UNIQUE;

-- The audit trail is read by study, by account and by time.
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_study ON audit (study_uid, id) WHERE study_uid IS NOT NULL;
