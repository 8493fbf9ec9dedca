-- Drift: figures of images, and what those and the answers are held against. -------------------------------------------

ALTER TABLE analysis ADD COLUMN figures jsonb NOT NULL DEFAULT '{}';   -- of its images: {role: {figure: number}}
ALTER TABLE series ADD COLUMN role_score integer;                      -- of the rules, with its role
ALTER TABLE shadow_answer ADD COLUMN probabilities jsonb NOT NULL DEFAULT '{}';

-- Recorded at promotion, or by hand. Append-only; the newest of a version's weights counts.
CREATE TABLE drift_reference (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    model text NOT NULL,
    version text NOT NULL, weights_digest text NOT NULL,
    studies integer NOT NULL,
    spreads jsonb NOT NULL,                      -- {figure: {edges or names, counts, middle}}
    account text NOT NULL                        -- of the machine, who gave the command
);
CREATE INDEX drift_reference_model ON drift_reference (model, weights_digest, id);
CREATE TRIGGER drift_reference_append_only BEFORE UPDATE OR DELETE ON drift_reference
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
