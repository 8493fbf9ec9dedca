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

-- While there is a row here, each row of the trail waits in audit_unsent until an audit record repository has it.
CREATE TABLE audit_repository (
    named boolean PRIMARY KEY DEFAULT true CHECK (named)
);
CREATE TABLE audit_unsent (
    audit_id bigint PRIMARY KEY REFERENCES audit
);
CREATE FUNCTION keep_for_repository() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unsent SELECT NEW.id FROM audit_repository;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_unsent AFTER INSERT ON audit FOR EACH ROW EXECUTE FUNCTION keep_for_repository();
