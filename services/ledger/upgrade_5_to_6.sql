-- Corrections of no answer: a label drawn by hand goes back to the PACS too, and every accepted label as a report. -----

ALTER TABLE result ADD COLUMN study_uid text REFERENCES study, ADD COLUMN workitem_id bigint REFERENCES workitem,
    ALTER COLUMN analysis_id DROP NOT NULL, DROP CONSTRAINT result_kind_check;
UPDATE result r SET study_uid = a.study_uid FROM analysis a WHERE a.id = r.analysis_id;
UPDATE result r SET workitem_id = (SELECT min(w.id) FROM workitem w WHERE w.analysis_id = r.analysis_id AND w.purpose = 'work')
    WHERE kind = 'correction';
ALTER TABLE result ALTER COLUMN study_uid SET NOT NULL,
    ADD CONSTRAINT result_kind_check CHECK (kind IN ('seg', 'sr', 'sc', 'mr', 'correction', 'correction_sr')),
    ADD CONSTRAINT result_of CHECK (analysis_id IS NOT NULL OR workitem_id IS NOT NULL);
CREATE INDEX result_study ON result (study_uid);
CREATE INDEX result_workitem ON result (workitem_id);

CREATE OR REPLACE FUNCTION guard_state() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    source_state text := CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END;
    row_id text := to_jsonb(NEW) ->> TG_ARGV[0];
    study text := coalesce(to_jsonb(NEW) ->> 'study_uid', (
        SELECT study_uid FROM result WHERE id = (to_jsonb(NEW) ->> 'result_id')::bigint));
BEGIN
    IF source_state IS DISTINCT FROM NEW.state THEN
        IF NOT EXISTS (SELECT FROM transition t WHERE t.entity = TG_TABLE_NAME
                       AND t.source IS NOT DISTINCT FROM source_state AND t.target = NEW.state) THEN
            RAISE EXCEPTION '% cannot go from % to %', TG_TABLE_NAME, coalesce(source_state, 'nothing'), NEW.state
                USING ERRCODE = 'check_violation';
        END IF;
        INSERT INTO event (entity, entity_id, study_uid, kind, detail)
        VALUES (TG_TABLE_NAME, row_id, study, 'state',
                jsonb_build_object('from', source_state, 'to', NEW.state, 'reason', to_jsonb(NEW) ->> 'reason'));
    END IF;
    PERFORM pg_notify('nightjar_worklist', study);
    RETURN NULL;
END $$;

CREATE OR REPLACE VIEW held_instance AS
    SELECT s.study_uid, i.series_uid, i.sop_instance_uid, i.sop_class_uid, i.transfer_syntax_uid, i.digest, i.attributes
    FROM instance i JOIN series s USING (series_uid) WHERE NOT i.conflict
    UNION ALL
    SELECT r.study_uid, r.series_uid, r.sop_instance_uid, r.sop_class_uid, r.transfer_syntax_uid, r.digest, r.attributes
    FROM result r LEFT JOIN analysis a ON a.id = r.analysis_id
    WHERE r.superseded_at IS NULL AND coalesce(a.state, 'analysed') = 'analysed'
      AND NOT EXISTS (SELECT FROM instance i WHERE i.sop_instance_uid = r.sop_instance_uid AND NOT i.conflict);

CREATE OR REPLACE VIEW held_series AS
    SELECT series_uid, study_uid, modality, description, body_part, series_number, instances::bigint AS instances
    FROM series WHERE instances > 0
    UNION ALL
    SELECT r.series_uid, r.study_uid, min(r.modality), min(r.series_description), NULL, min(r.series_number), count(*)
    FROM result r LEFT JOIN analysis a ON a.id = r.analysis_id
    WHERE r.superseded_at IS NULL AND coalesce(a.state, 'analysed') = 'analysed'
      AND NOT EXISTS (SELECT FROM instance i WHERE i.sop_instance_uid = r.sop_instance_uid AND NOT i.conflict)
    GROUP BY r.series_uid, r.study_uid;

-- Datasets: whose images may leave, and what was released. ------------------------------------------------------------

-- Append-only; of each subject the latest of granted and withdrawn counts, and the latest of hold and lifted.
CREATE TABLE consent (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    patient_id text,                             -- as in `study`; or
    study_uid text,
    decision text NOT NULL CHECK (decision IN ('granted', 'withdrawn', 'hold', 'lifted')),
    basis text NOT NULL,                         -- what it rests on, such as a form or an ethics vote
    recorded_by text NOT NULL,                   -- of the machine, who gave the command
    CONSTRAINT consent_subject CHECK ((patient_id IS NULL) != (study_uid IS NULL))
);
CREATE INDEX consent_patient ON consent (patient_id, id);
CREATE INDEX consent_study ON consent (study_uid, id);
CREATE TRIGGER consent_append_only BEFORE UPDATE OR DELETE ON consent FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Releases, with the labels as they were then: one can be made again, to the same bytes, after others were accepted.
CREATE TABLE dataset_release (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    task text NOT NULL,
    number integer NOT NULL,                     -- counts a task's releases
    name text NOT NULL,
    layout text NOT NULL,
    software text NOT NULL,                      -- version of Nightjar that wrote it
    key_fingerprint text NOT NULL,
    content text NOT NULL,                       -- digest of what it was made of
    digest text NOT NULL,                        -- of all its files
    labels jsonb NOT NULL,                       -- as services.ledger.accepted reads them
    held jsonb NOT NULL,                         -- how many accepted labels were held back, by reason
    recorded_by text NOT NULL,
    UNIQUE (task, number),
    UNIQUE (task, content)
);
CREATE TRIGGER dataset_release_append_only BEFORE UPDATE OR DELETE ON dataset_release
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Review: reader studies of pairs, orders that nobody can work out, and a queue that hears of changes. ------------------

ALTER TABLE reader_study
    ADD COLUMN design text NOT NULL DEFAULT 'single' CHECK (design IN ('single', 'pairs')),
    ADD COLUMN seed uuid NOT NULL DEFAULT gen_random_uuid();

-- What a reader said of the reference and another arm of a case, side by side.
CREATE TABLE reader_study_preference (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reference_id bigint NOT NULL REFERENCES reader_study_image,
    other_id bigint NOT NULL REFERENCES reader_study_image,
    account text NOT NULL,
    reference_left boolean NOT NULL,                           -- on which side the reference was
    scores jsonb NOT NULL,                                     -- {question: -3 to 3}, above 0 where the other is better
    UNIQUE (reference_id, other_id, account)
);
CREATE TRIGGER reader_study_preference_append_only BEFORE UPDATE OR DELETE ON reader_study_preference
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Open pages of the review hear of every change of what their queue shows.
CREATE FUNCTION tell_review() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('nightjar_review', '');
    RETURN NULL;
END $$;
CREATE TRIGGER workitem_told AFTER INSERT OR UPDATE ON workitem FOR EACH STATEMENT EXECUTE FUNCTION tell_review();
CREATE TRIGGER reading_told AFTER INSERT OR UPDATE OR DELETE ON reading
    FOR EACH STATEMENT EXECUTE FUNCTION tell_review();

-- Models that need some of their roles, whichever. --------------------------------------------------------------------

ALTER TABLE model ADD COLUMN fewest integer NOT NULL DEFAULT 0;

-- Correlation: what logs and traces call a study by. Its UID would lead to the patient; this leads only here. ----------

ALTER TABLE study ADD COLUMN pseudonym uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD CONSTRAINT study_pseudonym UNIQUE (pseudonym);

-- Retention: when the bytes of a study left the store. Something that arrives later makes it a study like any other. ----

ALTER TABLE study ADD COLUMN expired_at timestamptz;

-- Canaries: versions whose answers readers see for a share of the studies. ---------------------------------------------

-- Written by the inference part once it serves them; routing asks here.
CREATE TABLE canary (
    model text PRIMARY KEY,
    version text NOT NULL,
    weights_digest text NOT NULL,
    share double precision NOT NULL CHECK (share > 0 AND share <= 1),
    since timestamptz NOT NULL DEFAULT clock_timestamp()
);

ALTER TABLE shadow_answer ADD COLUMN live_segmentation_key text;   -- NULL: the analysis is the live version's
ALTER TABLE promotion DROP CONSTRAINT promotion_kind_check,
    ADD CONSTRAINT promotion_kind_check CHECK (kind IN ('promotion', 'rollback', 'canary'));
