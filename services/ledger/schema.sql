-- The ledger: what arrived, what was decided, what was found, what was sent.
-- States move only along the rows of `transition`; a trigger refuses every other move and writes an event
-- with each change, so a status, its event and the job it causes commit together.

CREATE TABLE transition (
    entity text NOT NULL,
    source text,                 -- NULL: the state a row may be born in
    target text NOT NULL,
    UNIQUE NULLS NOT DISTINCT (entity, source, target)
);

INSERT INTO transition (entity, source, target) VALUES
    -- A series is open while instances arrive. A late instance opens it again.
    ('series', NULL, 'receiving'),
    ('series', 'receiving', 'complete'),       -- evidence: gap-free, counts agree, senders done
    ('series', 'receiving', 'incomplete'),     -- the fallback timer ran out with a gap or a missing count
    ('series', 'complete', 'receiving'),
    ('series', 'incomplete', 'receiving'),
    -- A study ends in one of four states; new instances take it back to receiving.
    ('study', NULL, 'receiving'),
    ('study', 'receiving', 'analysing'),
    ('study', 'receiving', 'not_applicable'),
    ('study', 'receiving', 'parked'),
    ('study', 'analysing', 'analysed'),
    ('study', 'analysing', 'failed'),
    ('study', 'analysing', 'parked'),
    ('study', 'analysing', 'receiving'),
    ('study', 'analysed', 'receiving'),
    ('study', 'analysed', 'failed'),           -- the output gate refused the encoded result
    ('study', 'not_applicable', 'receiving'),
    ('study', 'failed', 'receiving'),
    ('study', 'failed', 'analysing'),          -- retried by hand
    ('study', 'parked', 'receiving'),
    -- An analysis is one model version on one input.
    ('analysis', NULL, 'queued'),
    ('analysis', 'queued', 'running'),
    ('analysis', 'running', 'queued'),         -- retry
    ('analysis', 'running', 'analysed'),
    ('analysis', 'running', 'failed'),
    ('analysis', 'queued', 'failed'),
    ('analysis', 'analysed', 'failed'),        -- the output gate refused the encoded result
    ('analysis', 'failed', 'queued'),          -- retried by hand
    ('analysis', 'queued', 'superseded'),
    ('analysis', 'running', 'superseded'),
    ('analysis', 'analysed', 'superseded'),
    ('analysis', 'failed', 'superseded'),
    ('analysis', 'superseded', 'queued'),      -- its input is the best again: the better series lost slices
    -- A delivery is one result to one destination.
    ('delivery', NULL, 'pending'),
    ('delivery', 'pending', 'delivered'),
    ('delivery', 'pending', 'parked'),         -- retries used up
    ('delivery', 'parked', 'pending'),         -- retried by hand
    ('delivery', 'pending', 'cancelled'),      -- its analysis was superseded
    ('delivery', 'parked', 'cancelled'),
    ('delivery', 'cancelled', 'pending');      -- its analysis came back from superseded

-- Append-only. `detail` never holds patient data.
CREATE TABLE event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    entity text NOT NULL,
    entity_id text NOT NULL,
    study_uid text,
    kind text NOT NULL,          -- 'state' or a verb such as 'routed', 'superseded', 'retry'
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX event_study ON event (study_uid, id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE ON event FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE association (
    id uuid PRIMARY KEY,
    calling_ae text NOT NULL,
    called_ae text NOT NULL,
    peer text NOT NULL,                          -- host:port, or 'rest'
    listener text,                               -- who received: host:port of one of several listeners
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    active_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at timestamptz,
    stored integer NOT NULL DEFAULT 0,
    rejected integer NOT NULL DEFAULT 0,
    ending text                                  -- released, aborted, lost
);
CREATE INDEX association_open ON association (opened_at) WHERE closed_at IS NULL;
CREATE INDEX association_closed ON association (closed_at) WHERE closed_at IS NOT NULL;

CREATE TABLE study (
    study_uid text PRIMARY KEY,
    patient_id text, patient_name text, patient_birth_date text, patient_sex text,
    accession_number text, study_id text, description text, study_date text, study_time text, referring_physician text,
    state text NOT NULL DEFAULT 'receiving',
    reason text,                                 -- why not applicable, parked or failed; a sentence without patient data
    urgency smallint NOT NULL DEFAULT 3,         -- 1 immediate, 2 urgent, 3 standard; only ever raised by a model
    first_instance_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_instance_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    flagged_at timestamptz,                      -- first commit of a flag for the present instances
    analysed_at timestamptz,                     -- when the present answer was committed, flag or not
    claimed_by text, claimed_at timestamptz,
    handed_over_by text                          -- who held the claim before; NULL when its holder took it
);
CREATE INDEX study_worklist ON study (urgency, first_instance_at);
CREATE INDEX study_patient ON study (patient_id);
CREATE INDEX study_accession ON study (accession_number);
CREATE INDEX study_unanswered ON study (state) WHERE state != 'analysed' AND state != 'not_applicable';
CREATE INDEX study_key ON study (md5(study_uid));   -- pages call a study by this, never by its UID

CREATE TABLE series (
    series_uid text PRIMARY KEY,
    study_uid text NOT NULL REFERENCES study,
    modality text, description text, body_part text, series_number integer,
    attributes jsonb NOT NULL DEFAULT '{}',      -- routing attributes of its first instance, by DICOM keyword
    state text NOT NULL DEFAULT 'receiving',
    reason text,                                 -- evidence for complete, or what is missing
    role text, role_reason text,                 -- decided by route
    instances integer NOT NULL DEFAULT 0,
    revision integer NOT NULL DEFAULT 0,         -- counts instances that changed the series' content
    first_instance_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_instance_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX series_study ON series (study_uid);
CREATE INDEX series_open ON series (last_instance_at) WHERE state = 'receiving';

CREATE TABLE instance (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sop_instance_uid text NOT NULL,
    sop_class_uid text NOT NULL,
    transfer_syntax_uid text NOT NULL,
    series_uid text NOT NULL REFERENCES series,
    study_uid text NOT NULL REFERENCES study,
    digest text NOT NULL,                        -- SHA-256 of the data set as received; also the storage key
    size_bytes bigint NOT NULL,
    conflict boolean NOT NULL DEFAULT false,     -- same UID as an earlier instance, other bytes; kept, never analysed
    association_id uuid REFERENCES association,
    attributes jsonb NOT NULL DEFAULT '{}',      -- geometry and counts by DICOM keyword, no patient data
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (sop_instance_uid, digest)
);
CREATE UNIQUE INDEX instance_first ON instance (sop_instance_uid) WHERE NOT conflict;
CREATE INDEX instance_series ON instance (series_uid);
CREATE INDEX instance_association ON instance (association_id, series_uid);

CREATE TABLE quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    association_id uuid REFERENCES association,
    calling_ae text NOT NULL,
    sop_class_uid text, sop_instance_uid text,   -- as claimed by the sender, unchecked
    digest text,                                 -- storage key of the bytes; NULL: they never came
    reason text NOT NULL,
    status integer NOT NULL                      -- DIMSE status answered
);

-- Archives that are followed.
CREATE TABLE source_position (
    source text PRIMARY KEY,                     -- name in the settings
    archive text NOT NULL DEFAULT '',            -- what the archive calls itself
    change bigint,                               -- the last of its changes that was dealt with; NULL: never looked
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The models this installation serves; written by the worker from the cards when it starts.
CREATE TABLE model (
    name text PRIMARY KEY,
    version text NOT NULL,
    weights_digest text NOT NULL,
    roles text[] NOT NULL,                       -- series roles it needs, such as NCCT
    optional_roles text[] NOT NULL DEFAULT '{}',
    priority integer NOT NULL,                   -- of its jobs; larger runs sooner
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    fewest integer NOT NULL DEFAULT 0            -- so many of all its roles are needed, whichever; 0: `roles` alone
);

CREATE TABLE analysis (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study_uid text NOT NULL REFERENCES study,
    model text NOT NULL,
    model_version text NOT NULL,
    weights_digest text NOT NULL,
    inputs jsonb NOT NULL,                       -- {role: series_uid}
    input_digest text NOT NULL,                  -- SHA-256 over the sorted instance digests of all inputs
    state text NOT NULL DEFAULT 'queued',
    reason text,
    attempts integer NOT NULL DEFAULT 0,
    urgency smallint NOT NULL DEFAULT 3,
    probabilities jsonb NOT NULL DEFAULT '{}',
    slice_probabilities jsonb NOT NULL DEFAULT '{}',
    parameters jsonb NOT NULL DEFAULT '{}',
    measurements jsonb NOT NULL DEFAULT '{}',    -- of the study, by the names of the card's measures
    segmentation_key text,                       -- storage key of a compressed uint8 array (slice, row, column)
    image_key text,                              -- of a model that makes images: storage key of a float32 array
    preview_key text,                            -- storage key of a PNG
    queued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz, analysed_at timestamptz, encoded_at timestamptz,
    UNIQUE (model, model_version, weights_digest, input_digest)
);
CREATE INDEX analysis_study ON analysis (study_uid);
CREATE INDEX analysis_waiting ON analysis (queued_at) WHERE state IN ('queued', 'running');

CREATE TABLE finding (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    analysis_id bigint NOT NULL REFERENCES analysis ON DELETE CASCADE,
    label text NOT NULL,
    probability real NOT NULL,
    volume_ml double precision NOT NULL,
    volume_low_ml double precision, volume_high_ml double precision,
    abc2_ml double precision,
    urgency smallint NOT NULL,
    key_slice integer NOT NULL,
    UNIQUE (analysis_id, label),
    CONSTRAINT finding_volume_range CHECK ((volume_low_ml IS NULL) = (volume_high_ml IS NULL))
);

CREATE TABLE result (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study_uid text NOT NULL REFERENCES study,
    analysis_id bigint REFERENCES analysis,      -- NULL: of a label that corrects no answer
    kind text NOT NULL                           -- sc: one a key slice; mr: one a slice; corrections: of an accepted label
        CHECK (kind IN ('seg', 'sr', 'sc', 'mr', 'correction', 'correction_sr')),
    sop_class_uid text NOT NULL,
    sop_instance_uid text NOT NULL UNIQUE,       -- derived from input digest, model version and kind
    series_uid text NOT NULL,
    digest text NOT NULL,                        -- storage key of the Part 10 file
    size_bytes bigint NOT NULL,
    transfer_syntax_uid text NOT NULL DEFAULT '1.2.840.10008.1.2.1',
    modality text, series_number integer, series_description text,
    attributes jsonb NOT NULL DEFAULT '{}',      -- counts by DICOM keyword, as of an instance
    superseded_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX result_analysis ON result (analysis_id, kind);
CREATE INDEX result_series ON result (series_uid);
CREATE INDEX result_study ON result (study_uid);

CREATE TABLE delivery (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    result_id bigint NOT NULL REFERENCES result,
    destination text NOT NULL,                   -- name in the settings
    state text NOT NULL DEFAULT 'pending',
    attempts integer NOT NULL DEFAULT 0,
    reason text,                                 -- last refusal, without patient data
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    delivered_at timestamptz,
    UNIQUE (result_id, destination)
);
CREATE INDEX delivery_undelivered ON delivery (created_at) WHERE state IN ('pending', 'parked');

-- What a destination was asked to keep for good (storage commitment).
CREATE TABLE commitment (
    transaction_uid text PRIMARY KEY,
    delivery_id bigint NOT NULL REFERENCES delivery,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    answered_at timestamptz
);
CREATE INDEX commitment_delivery ON commitment (delivery_id);

CREATE TABLE account (
    name text PRIMARY KEY,
    password_hash text NOT NULL,                 -- argon2id; no hash where an identity provider vouches
    roles text[] NOT NULL,
    subject text UNIQUE,                         -- issuer and subject of an identity provider
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Who looked at or changed what (PS3.15 A.5). Append-only.
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    account text,
    action text NOT NULL,                        -- sign-in, sign-out, worklist, preview, claim, release ...
    outcome text NOT NULL DEFAULT 'success',
    study_uid text,
    address text
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_study ON audit (study_uid, id) WHERE study_uid IS NOT NULL;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_change();

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

-- What readers say of an answer. Append-only; the latest row of an account is its opinion. A flag is dismissed while the
-- latest row of all disagrees because it is a false positive, known or an artefact.
CREATE TABLE opinion (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    study_uid text NOT NULL REFERENCES study,
    analysis_id bigint NOT NULL REFERENCES analysis,
    account text NOT NULL,
    verdict text NOT NULL,
    reason text,
    CONSTRAINT opinion_verdict CHECK (verdict IN ('agree', 'disagree', 'withdrawn')),
    CONSTRAINT opinion_reason CHECK (CASE WHEN verdict = 'disagree'
        THEN coalesce(reason, '') IN ('false_positive', 'known', 'artefact', 'wrong_type', 'wrong_extent', 'missed')
        ELSE reason IS NULL END)
);
CREATE INDEX opinion_study ON opinion (study_uid, id);
CREATE TRIGGER opinion_append_only BEFORE UPDATE OR DELETE ON opinion FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE FUNCTION tell_listeners() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('nightjar_worklist', NEW.study_uid);
    RETURN NULL;
END $$;
CREATE TRIGGER opinion_told AFTER INSERT ON opinion FOR EACH ROW EXECUTE FUNCTION tell_listeners();

-- Alerts somebody has heard and seen, each for themselves, at whichever station.
CREATE TABLE acknowledgement (
    account text NOT NULL,
    alert text NOT NULL,                         -- as the worklist names it: study key and analysis
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, alert)
);

-- The parts that are alive: each writes its row every few seconds.
CREATE TABLE heartbeat (
    part text NOT NULL,                          -- router, worker, inference, web
    instance text NOT NULL,                      -- host:pid
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    detail jsonb NOT NULL DEFAULT '{}',          -- inference: models loaded
    PRIMARY KEY (part, instance)
);

-- One guard for every table with a state: checks the move, writes the event, tells the listeners.
CREATE FUNCTION guard_state() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER study_state AFTER INSERT OR UPDATE OF state, urgency, claimed_by ON study
    FOR EACH ROW EXECUTE FUNCTION guard_state('study_uid');
CREATE TRIGGER series_state AFTER INSERT OR UPDATE OF state ON series
    FOR EACH ROW EXECUTE FUNCTION guard_state('series_uid');
CREATE TRIGGER analysis_state AFTER INSERT OR UPDATE OF state ON analysis
    FOR EACH ROW EXECUTE FUNCTION guard_state('id');
CREATE TRIGGER delivery_state AFTER INSERT OR UPDATE OF state ON delivery
    FOR EACH ROW EXECUTE FUNCTION guard_state('id');

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
-- Whose accepted label a correction is; the others are of an analysis.
ALTER TABLE result ADD COLUMN workitem_id bigint REFERENCES workitem,
    ADD CONSTRAINT result_of CHECK (analysis_id IS NOT NULL OR workitem_id IS NOT NULL);
CREATE INDEX result_workitem ON result (workitem_id);

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

-- Open pages of the review hear of every change of what their queue shows.
CREATE FUNCTION tell_review() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('nightjar_review', '');
    RETURN NULL;
END $$;
CREATE TRIGGER workitem_told AFTER INSERT OR UPDATE ON workitem FOR EACH STATEMENT EXECUTE FUNCTION tell_review();
CREATE TRIGGER reading_told AFTER INSERT OR UPDATE OR DELETE ON reading
    FOR EACH STATEMENT EXECUTE FUNCTION tell_review();

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

-- A result that came back from a PACS is the instance that was received.
CREATE VIEW held_instance AS
    SELECT s.study_uid, i.series_uid, i.sop_instance_uid, i.sop_class_uid, i.transfer_syntax_uid, i.digest, i.attributes
    FROM instance i JOIN series s USING (series_uid) WHERE NOT i.conflict
    UNION ALL
    SELECT r.study_uid, r.series_uid, r.sop_instance_uid, r.sop_class_uid, r.transfer_syntax_uid, r.digest, r.attributes
    FROM result r LEFT JOIN analysis a ON a.id = r.analysis_id
    WHERE r.superseded_at IS NULL AND coalesce(a.state, 'analysed') = 'analysed'
      AND NOT EXISTS (SELECT FROM instance i WHERE i.sop_instance_uid = r.sop_instance_uid AND NOT i.conflict);

CREATE VIEW held_series AS
    SELECT series_uid, study_uid, modality, description, body_part, series_number, instances::bigint AS instances
    FROM series WHERE instances > 0
    UNION ALL
    SELECT r.series_uid, r.study_uid, min(r.modality), min(r.series_description), NULL, min(r.series_number), count(*)
    FROM result r LEFT JOIN analysis a ON a.id = r.analysis_id
    WHERE r.superseded_at IS NULL AND coalesce(a.state, 'analysed') = 'analysed'
      AND NOT EXISTS (SELECT FROM instance i WHERE i.sop_instance_uid = r.sop_instance_uid AND NOT i.conflict)
    GROUP BY r.series_uid, r.study_uid;

-- Reader studies: images of several arms, rated blinded and in another order by every reader. --------------------------

CREATE TABLE reader_study (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    arms text[] NOT NULL CHECK (array_length(arms, 1) >= 2),   -- the first is what the others are held against
    margin double precision NOT NULL CHECK (margin > 0),       -- of non-inferiority, points of the seven-point scale
    design text NOT NULL DEFAULT 'single' CHECK (design IN ('single', 'pairs')),   -- what a reader sees at once
    seed uuid NOT NULL DEFAULT gen_random_uuid(),              -- of every reader's order and sides; kept from readers
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
