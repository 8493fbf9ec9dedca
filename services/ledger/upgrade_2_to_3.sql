-- What readers say back: opinions on answers, acknowledged alerts, claims handed over; and finding a patient's studies.
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

CREATE TABLE acknowledgement (
    account text NOT NULL,
    alert text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, alert)
);

ALTER TABLE study ADD COLUMN handed_over_by text;
CREATE INDEX study_patient ON study (patient_id);
CREATE INDEX study_accession ON study (accession_number);
