-- Secondary captures: an analysis may have several, one a key slice.
ALTER TABLE result DROP CONSTRAINT result_kind_check, DROP CONSTRAINT result_analysis_id_kind_key;
ALTER TABLE result ADD CONSTRAINT result_kind_check CHECK (kind IN ('seg', 'sr', 'sc', 'mr', 'correction'));
CREATE INDEX result_analysis ON result (analysis_id, kind);
CREATE INDEX result_series ON result (series_uid);

-- Models that make images: the answer is one, and its derived series goes out instead of a segmentation.
ALTER TABLE analysis ADD COLUMN image_key text;

-- Review: workitems, what people drew, said and decided. --------------------------------------------------------------

INSERT INTO transition (entity, source, target) VALUES
    -- Who may make which move is in services/review/states.py; a test holds the two tables against each other.
    ('workitem', NULL, 'to_annotate'),
    ('workitem', 'to_annotate', 'annotated'),  -- every reading of the round is submitted
    ('workitem', 'annotated', 'in_review'),
    ('workitem', 'annotated', 'disputed'),     -- two readings differ by more than the task's limits
    ('workitem', 'in_review', 'annotated'),    -- given back by the reviewer
    ('workitem', 'in_review', 'accepted'),
    ('workitem', 'in_review', 'returned'),
    ('workitem', 'in_review', 'disputed'),
    ('workitem', 'returned', 'annotated'),
    ('workitem', 'disputed', 'arbitrated'),
    ('workitem', 'arbitrated', 'accepted'),
    ('workitem', 'arbitrated', 'disputed'),
    ('workitem', 'accepted', 'in_review'),     -- opened again
    ('workitem', 'to_annotate', 'excluded'),
    ('workitem', 'annotated', 'excluded'),
    ('workitem', 'in_review', 'excluded'),
    ('workitem', 'returned', 'excluded'),
    ('workitem', 'disputed', 'excluded'),
    ('workitem', 'arbitrated', 'excluded'),
    ('workitem', 'excluded', 'to_annotate');   -- brought back

ALTER TABLE account ADD COLUMN experienced_since date;   -- reads such images since; NULL: not recorded

-- A case with a mask to learn from or to be tested against.
CREATE TABLE reference_case (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task text NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('training', 'test')),
    study_uid text NOT NULL REFERENCES study,
    series_uid text NOT NULL REFERENCES series,
    mask_digest text NOT NULL,
    added_by text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (task, series_uid)
);

CREATE TABLE workitem (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study_uid text NOT NULL REFERENCES study,
    series_uid text NOT NULL REFERENCES series,  -- masks lie on its grid
    analysis_id bigint REFERENCES analysis,      -- the answer it corrects; NULL: none
    task text NOT NULL,                          -- name of a task of services/review/tasks
    purpose text NOT NULL DEFAULT 'work' CHECK (purpose IN ('work', 'training', 'test')),
    reference_id bigint REFERENCES reference_case,
    attempt integer NOT NULL DEFAULT 1,          -- of a training or test
    state text NOT NULL DEFAULT 'to_annotate',
    priority smallint NOT NULL DEFAULT 3 CHECK (priority BETWEEN 1 AND 3),
    due_at timestamptz,
    cause text NOT NULL
        CHECK (cause IN ('flag', 'disagreement', 'sample', 'uncertainty', 'hand', 'arrival', 'course')),
    cause_detail text,                           -- a sentence without patient data
    created_by text,                             -- NULL: by rule
    readers smallint NOT NULL DEFAULT 1 CHECK (readers IN (1, 2)),
    round integer NOT NULL DEFAULT 1,            -- counts returns and reopenings
    ai_digest text,                              -- the answer as a mask; made when the workitem is first opened
    standing_id bigint,                          -- annotation that stands; NULL before the first is submitted
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT workitem_reference CHECK ((purpose = 'work') = (reference_id IS NULL))
);
CREATE UNIQUE INDEX workitem_answer ON workitem (analysis_id, task) WHERE purpose = 'work' AND analysis_id IS NOT NULL;
CREATE INDEX workitem_state ON workitem (state, priority, due_at);
CREATE INDEX workitem_study ON workitem (study_uid);
CREATE TRIGGER workitem_state AFTER INSERT OR UPDATE OF state, standing_id ON workitem
    FOR EACH ROW EXECUTE FUNCTION guard_state('id');

-- Who holds which part of a workitem. One person never holds two: no second reading or review of one's own work.
CREATE TABLE reading (
    workitem_id bigint NOT NULL REFERENCES workitem,
    slot text NOT NULL CHECK (slot IN ('A', 'B', 'reviewer', 'arbiter')),
    account text NOT NULL,
    assigned_by text NOT NULL,
    assigned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    submitted_id bigint,                         -- annotation handed in this round
    submitted_at timestamptz,
    PRIMARY KEY (workitem_id, slot),
    UNIQUE (workitem_id, account)
);
CREATE INDEX reading_account ON reading (account);

-- Versions of a mask. Append-only: saving writes a new row.
CREATE TABLE annotation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    workitem_id bigint NOT NULL REFERENCES workitem,
    slot text NOT NULL CHECK (slot IN ('A', 'B', 'reviewer', 'arbiter', 'consensus')),
    round integer NOT NULL,
    author text,                                 -- NULL: made by Nightjar from the readings
    base_digest text,                            -- mask it was drawn on; NULL: nothing
    mask_digest text NOT NULL,                   -- storage key of the mask, see docs/review.md
    tool text NOT NULL,
    labels jsonb NOT NULL DEFAULT '{}',          -- {label: {volume_ml, dice_ai}}
    submitted boolean NOT NULL DEFAULT false,
    unchanged boolean NOT NULL DEFAULT false     -- submitted as the AI drew it: accepted unchanged
);
CREATE INDEX annotation_workitem ON annotation (workitem_id, slot, id);
CREATE TRIGGER annotation_append_only BEFORE UPDATE OR DELETE ON annotation
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Remarks, pinned to a voxel or to the whole.
CREATE TABLE comment (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    workitem_id bigint NOT NULL REFERENCES workitem,
    slot text NOT NULL,                          -- whose; blinded readers do not see the other's
    round integer NOT NULL,
    author text NOT NULL,
    voxel integer[] CHECK (array_length(voxel, 1) = 3),   -- slice, row, column, from 0
    doubtful boolean NOT NULL DEFAULT false,     -- the author is not sure of the mask here
    text text NOT NULL CHECK (text != '')
);
CREATE INDEX comment_workitem ON comment (workitem_id, id);
CREATE TRIGGER comment_append_only BEFORE UPDATE OR DELETE ON comment FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- How good the images are, by each reader; the latest of an account counts.
CREATE TABLE image_quality (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    workitem_id bigint NOT NULL REFERENCES workitem,
    account text NOT NULL,
    scale text NOT NULL CHECK (scale IN ('likert', 'grade')),
    value smallint NOT NULL CHECK (value BETWEEN 1 AND CASE scale WHEN 'likert' THEN 5 ELSE 3 END),
    motion boolean NOT NULL,
    metal boolean NOT NULL,
    note text
);
CREATE INDEX image_quality_workitem ON image_quality (workitem_id, id);
CREATE TRIGGER image_quality_append_only BEFORE UPDATE OR DELETE ON image_quality
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What the headers and automatically placed regions say of the images, as it was when the workitem was measured.
CREATE TABLE conformance (
    workitem_id bigint PRIMARY KEY REFERENCES workitem,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    protocol text NOT NULL,
    lines jsonb NOT NULL                         -- as services/review/conformance.py wrote them
);

-- How well two annotations of one round agree, by label.
CREATE TABLE agreement (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    workitem_id bigint NOT NULL REFERENCES workitem,
    round integer NOT NULL,
    first_id bigint NOT NULL REFERENCES annotation,
    second_id bigint NOT NULL REFERENCES annotation,
    label text NOT NULL,
    first_ml double precision NOT NULL,
    second_ml double precision NOT NULL,
    dice double precision, nsd double precision, hd95_mm double precision, lesion_f1 double precision,   -- NULL: empty
    outside text[] NOT NULL DEFAULT '{}',        -- measures beyond the task's limits
    UNIQUE (first_id, second_id, label)
);
CREATE INDEX agreement_workitem ON agreement (workitem_id, round);
CREATE TRIGGER agreement_append_only BEFORE UPDATE OR DELETE ON agreement
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Every move of a workitem with the person, the role they made it in, and the reason. May hold what people typed.
CREATE TABLE decision (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    workitem_id bigint NOT NULL REFERENCES workitem,
    round integer NOT NULL,
    source text, target text NOT NULL,
    account text,                                -- NULL: by rule
    role text,
    reason text
);
CREATE INDEX decision_workitem ON decision (workitem_id, id);
CREATE TRIGGER decision_append_only BEFORE UPDATE OR DELETE ON decision FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Who may annotate which kind of task: the results of consistency tests, and admissions by hand. The latest counts.
CREATE TABLE admission (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    account text NOT NULL,
    task text NOT NULL,
    passed boolean NOT NULL,
    attempt integer,                             -- of the test; NULL: by hand
    cases integer, dice double precision, icc double precision,
    decided_by text,                             -- NULL: by the test
    reason text
);
CREATE INDEX admission_account ON admission (account, task, id);
CREATE TRIGGER admission_append_only BEFORE UPDATE OR DELETE ON admission
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Languages and notifications. ---------------------------------------------------------------------------------------

ALTER TABLE account ADD COLUMN language text;     -- of the pages (BCP 47); NULL: as the browser asks

INSERT INTO transition (entity, source, target) VALUES
    -- A notification tells one destination of one answer.
    ('notification', NULL, 'pending'),
    ('notification', 'pending', 'delivered'),
    ('notification', 'pending', 'parked'),     -- retries used up, or refused for good
    ('notification', 'parked', 'pending'),     -- retried by hand
    ('notification', 'pending', 'cancelled'),  -- its analysis was superseded
    ('notification', 'parked', 'cancelled');

CREATE TABLE notification (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study_uid text NOT NULL REFERENCES study,
    analysis_id bigint NOT NULL REFERENCES analysis,
    destination text NOT NULL,                   -- name in the settings
    kind text NOT NULL CHECK (kind IN ('webhook', 'email', 'hl7')),
    state text NOT NULL DEFAULT 'pending',
    attempts integer NOT NULL DEFAULT 0,
    reason text,                                 -- last refusal, without patient data
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    delivered_at timestamptz,
    UNIQUE (analysis_id, destination)
);
CREATE INDEX notification_study ON notification (study_uid);
CREATE INDEX notification_undelivered ON notification (created_at) WHERE state IN ('pending', 'parked');
CREATE TRIGGER notification_state AFTER INSERT OR UPDATE OF state ON notification
    FOR EACH ROW EXECUTE FUNCTION guard_state('id');

-- DICOMweb: what is held, as received and as written by us. -----------------------------------------------------------

ALTER TABLE result ADD COLUMN transfer_syntax_uid text NOT NULL DEFAULT '1.2.840.10008.1.2.1',
    ADD COLUMN modality text, ADD COLUMN series_number integer, ADD COLUMN series_description text,
    ADD COLUMN attributes jsonb NOT NULL DEFAULT '{}';

-- A result that came back from a PACS is the instance that was received.
CREATE VIEW held_instance AS
    SELECT s.study_uid, i.series_uid, i.sop_instance_uid, i.sop_class_uid, i.transfer_syntax_uid, i.digest, i.attributes
    FROM instance i JOIN series s USING (series_uid) WHERE NOT i.conflict
    UNION ALL
    SELECT a.study_uid, r.series_uid, r.sop_instance_uid, r.sop_class_uid, r.transfer_syntax_uid, r.digest, r.attributes
    FROM result r JOIN analysis a ON a.id = r.analysis_id
    WHERE r.superseded_at IS NULL AND a.state = 'analysed'
      AND NOT EXISTS (SELECT FROM instance i WHERE i.sop_instance_uid = r.sop_instance_uid AND NOT i.conflict);

CREATE VIEW held_series AS
    SELECT series_uid, study_uid, modality, description, body_part, series_number, instances::bigint AS instances
    FROM series WHERE instances > 0
    UNION ALL
    SELECT r.series_uid, a.study_uid, min(r.modality), min(r.series_description), NULL, min(r.series_number), count(*)
    FROM result r JOIN analysis a ON a.id = r.analysis_id
    WHERE r.superseded_at IS NULL AND a.state = 'analysed'
      AND NOT EXISTS (SELECT FROM instance i WHERE i.sop_instance_uid = r.sop_instance_uid AND NOT i.conflict)
    GROUP BY r.series_uid, a.study_uid;

-- Reader studies: images of several arms, rated blinded and in another order by every reader. --------------------------

CREATE TABLE reader_study (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    arms text[] NOT NULL CHECK (array_length(arms, 1) >= 2),   -- the first is what the others are held against
    margin double precision NOT NULL CHECK (margin > 0),       -- of non-inferiority, points of the seven-point scale
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at timestamptz                                      -- no more ratings; results may be looked at
);

CREATE TABLE reader_study_image (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reader_study_id bigint NOT NULL REFERENCES reader_study,
    study_uid text NOT NULL REFERENCES study,                  -- the case: its arms are compared with each other
    series_uid text NOT NULL,                                  -- received, or written by a model
    arm text NOT NULL,
    UNIQUE (reader_study_id, study_uid, arm)
);

CREATE TABLE reader_study_rating (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    image_id bigint NOT NULL REFERENCES reader_study_image,
    account text NOT NULL,
    scores jsonb NOT NULL,                                     -- {question: 1 to 7}
    UNIQUE (image_id, account)
);
CREATE TRIGGER reader_study_rating_append_only BEFORE UPDATE OR DELETE ON reader_study_rating
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Reconciliation: how many differences each comparison with the PACS found; the metrics tell the latest. --------------

CREATE TABLE reconciliation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    since timestamptz NOT NULL,
    studies integer NOT NULL,
    differences integer NOT NULL
);

-- Shadows: what a version that does not serve says of the same input. No page, result or notification reads these. ------

CREATE TABLE shadow_answer (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    analysis_id bigint NOT NULL REFERENCES analysis,   -- the live answer to the same input
    model text NOT NULL,
    version text NOT NULL, weights_digest text NOT NULL,
    live_version text NOT NULL, live_weights_digest text NOT NULL,
    failure text,                                -- why there is no answer; the rest is then empty
    flag boolean, live_flag boolean,
    labels jsonb NOT NULL DEFAULT '{}',          -- {label: {volume_ml, live_ml, dice}}; dice NULL where neither marks
    seconds double precision, live_seconds double precision,   -- from start to answer, reading included
    segmentation_key text,                       -- storage key of a compressed uint8 array (slice, row, column)
    UNIQUE (analysis_id, version, weights_digest),
    CONSTRAINT shadow_answered CHECK (failure IS NOT NULL OR (flag IS NOT NULL AND segmentation_key IS NOT NULL))
);
CREATE INDEX shadow_answer_model ON shadow_answer (model, version);

-- Which version serves, since when, by whom and on what evidence.
CREATE TABLE promotion (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    model text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('promotion', 'rollback')),
    source_version text NOT NULL, target_version text NOT NULL,
    target_digest text NOT NULL,
    account text NOT NULL,                       -- of the machine, who gave the command
    evidence jsonb NOT NULL DEFAULT '{}',
    reason text
);
CREATE TRIGGER promotion_append_only BEFORE UPDATE OR DELETE ON promotion
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
