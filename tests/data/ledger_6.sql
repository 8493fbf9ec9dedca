-- A ledger as schema 6 wrote it, with invented studies in every state: pg_dump --inserts of what its own code made.
-- PostgreSQL database dump

-- Dumped from database version 18.6
-- Dumped by pg_dump version 18.6

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

-- Name: procrastinate_job_event_type; Type: TYPE; Schema: public; Owner: -

CREATE TYPE public.procrastinate_job_event_type AS ENUM (
    'deferred',
    'started',
    'deferred_for_retry',
    'failed',
    'succeeded',
    'cancelled',
    'abort_requested',
    'aborted',
    'scheduled',
    'retried'
);

-- Name: procrastinate_job_status; Type: TYPE; Schema: public; Owner: -

CREATE TYPE public.procrastinate_job_status AS ENUM (
    'todo',
    'doing',
    'succeeded',
    'failed',
    'cancelled',
    'aborting',
    'aborted'
);

-- Name: procrastinate_job_to_defer_v1; Type: TYPE; Schema: public; Owner: -

CREATE TYPE public.procrastinate_job_to_defer_v1 AS (
	queue_name character varying,
	task_name character varying,
	priority integer,
	lock text,
	queueing_lock text,
	args jsonb,
	scheduled_at timestamp with time zone
);

-- Name: guard_state(); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.guard_state() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

-- Name: procrastinate_cancel_job_v1(bigint, boolean, boolean); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_cancel_job_v1(job_id bigint, abort boolean, delete_job boolean) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    _job_id bigint;
BEGIN
    IF delete_job THEN
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status = 'todo'
        RETURNING id INTO _job_id;
    END IF;
    IF _job_id IS NULL THEN
        IF abort THEN
            UPDATE procrastinate_jobs
            SET abort_requested = true,
                status = CASE status
                    WHEN 'todo' THEN 'cancelled'::procrastinate_job_status ELSE status
                END
            WHERE id = job_id AND status IN ('todo', 'doing')
            RETURNING id INTO _job_id;
        ELSE
            UPDATE procrastinate_jobs
            SET status = 'cancelled'::procrastinate_job_status
            WHERE id = job_id AND status = 'todo'
            RETURNING id INTO _job_id;
        END IF;
    END IF;
    RETURN _job_id;
END;
$$;

-- Name: procrastinate_defer_jobs_v1(public.procrastinate_job_to_defer_v1[]); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_defer_jobs_v1(jobs public.procrastinate_job_to_defer_v1[]) RETURNS bigint[]
    LANGUAGE plpgsql
    AS $$
DECLARE
    job_ids bigint[];
BEGIN
    WITH inserted_jobs AS (
        INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
        SELECT (job).queue_name,
               (job).task_name,
               (job).priority,
               (job).lock,
               (job).queueing_lock,
               (job).args,
               (job).scheduled_at
        FROM unnest(jobs) AS job
        RETURNING id
    )
    SELECT array_agg(id) FROM inserted_jobs INTO job_ids;

    RETURN job_ids;
END;
$$;

-- Name: procrastinate_defer_periodic_job_v2(character varying, character varying, character varying, character varying, integer, character varying, bigint, jsonb); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_defer_periodic_job_v2(_queue_name character varying, _lock character varying, _queueing_lock character varying, _task_name character varying, _priority integer, _periodic_id character varying, _defer_timestamp bigint, _args jsonb) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
	_job_id bigint;
	_defer_id bigint;
BEGIN
    INSERT
        INTO procrastinate_periodic_defers (task_name, periodic_id, defer_timestamp)
        VALUES (_task_name, _periodic_id, _defer_timestamp)
        ON CONFLICT DO NOTHING
        RETURNING id into _defer_id;

    IF _defer_id IS NULL THEN
        RETURN NULL;
    END IF;

    UPDATE procrastinate_periodic_defers
        SET job_id = (
            SELECT COALESCE((
                SELECT unnest(procrastinate_defer_jobs_v1(
                    ARRAY[
                        ROW(
                            _queue_name,
                            _task_name,
                            _priority,
                            _lock,
                            _queueing_lock,
                            _args,
                            NULL::timestamptz
                        )
                    ]::procrastinate_job_to_defer_v1[]
                ))
            ), NULL)
        )
        WHERE id = _defer_id
        RETURNING job_id INTO _job_id;

    DELETE
        FROM procrastinate_periodic_defers
        USING (
            SELECT id
            FROM procrastinate_periodic_defers
            WHERE procrastinate_periodic_defers.task_name = _task_name
            AND procrastinate_periodic_defers.periodic_id = _periodic_id
            AND procrastinate_periodic_defers.defer_timestamp < _defer_timestamp
            ORDER BY id
            FOR UPDATE
        ) to_delete
        WHERE procrastinate_periodic_defers.id = to_delete.id;

    RETURN _job_id;
END;
$$;

SET default_tablespace = '';

SET default_table_access_method = heap;

-- Name: procrastinate_jobs; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.procrastinate_jobs (
    id bigint NOT NULL,
    queue_name character varying(128) NOT NULL,
    task_name character varying(128) NOT NULL,
    priority integer DEFAULT 0 NOT NULL,
    lock text,
    queueing_lock text,
    args jsonb DEFAULT '{}'::jsonb NOT NULL,
    status public.procrastinate_job_status DEFAULT 'todo'::public.procrastinate_job_status NOT NULL,
    scheduled_at timestamp with time zone,
    attempts integer DEFAULT 0 NOT NULL,
    abort_requested boolean DEFAULT false NOT NULL,
    worker_id bigint,
    CONSTRAINT check_not_todo_abort_requested CHECK ((NOT ((status = 'todo'::public.procrastinate_job_status) AND (abort_requested = true))))
);

-- Name: procrastinate_fetch_job_v2(character varying[], bigint); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_fetch_job_v2(target_queue_names character varying[], p_worker_id bigint) RETURNS public.procrastinate_jobs
    LANGUAGE plpgsql
    AS $$
DECLARE
	found_jobs procrastinate_jobs;
BEGIN
    WITH candidate AS (
        SELECT jobs.*
            FROM procrastinate_jobs AS jobs
            WHERE
                -- reject the job if its lock has earlier or higher priority jobs
                NOT EXISTS (
                    SELECT 1
                        FROM procrastinate_jobs AS other_jobs
                        WHERE
                            jobs.lock IS NOT NULL
                            AND other_jobs.lock = jobs.lock
                            AND (
                                -- job with same lock is already running
                                other_jobs.status = 'doing'
                                OR
                                -- job with same lock is waiting and has higher priority (or same priority but was queued first)
                                (
                                    other_jobs.status = 'todo'
                                    AND (
                                        other_jobs.priority > jobs.priority
                                        OR (
                                        other_jobs.priority = jobs.priority
                                        AND other_jobs.id < jobs.id
                                        )
                                    )
                                )
                            )
                )
                AND jobs.status = 'todo'
                AND (target_queue_names IS NULL OR jobs.queue_name = ANY( target_queue_names ))
                AND (jobs.scheduled_at IS NULL OR jobs.scheduled_at <= now())
            ORDER BY jobs.priority DESC, jobs.id ASC LIMIT 1
            FOR UPDATE OF jobs SKIP LOCKED
    )
    UPDATE procrastinate_jobs
        SET status = 'doing', worker_id = p_worker_id
        FROM candidate
        WHERE procrastinate_jobs.id = candidate.id
        RETURNING procrastinate_jobs.* INTO found_jobs;

 RETURN found_jobs;
END;
$$;

-- Name: procrastinate_finish_job_v1(bigint, public.procrastinate_job_status, boolean); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_finish_job_v1(job_id bigint, end_status public.procrastinate_job_status, delete_job boolean) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    _job_id bigint;
BEGIN
    IF end_status NOT IN ('succeeded', 'failed', 'aborted') THEN
        RAISE 'End status should be either "succeeded", "failed" or "aborted" (job id: %)', job_id;
    END IF;
    IF delete_job THEN
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status IN ('todo', 'doing')
        RETURNING id INTO _job_id;
    ELSE
        UPDATE procrastinate_jobs
        SET status = end_status,
            abort_requested = false,
            attempts = CASE status
                WHEN 'doing' THEN attempts + 1 ELSE attempts
            END
        WHERE id = job_id AND status IN ('todo', 'doing')
        RETURNING id INTO _job_id;
    END IF;
    IF _job_id IS NULL THEN
        RAISE 'Job was not found or not in "doing" or "todo" status (job id: %)', job_id;
    END IF;
END;
$$;

-- Name: procrastinate_notify_queue_abort_job_v1(); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_notify_queue_abort_job_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    payload TEXT;
BEGIN
    SELECT json_build_object('type', 'abort_job_requested', 'job_id', NEW.id)::text INTO payload;
	PERFORM pg_notify('procrastinate_queue_v1#' || NEW.queue_name, payload);
	PERFORM pg_notify('procrastinate_any_queue_v1', payload);
	RETURN NEW;
END;
$$;

-- Name: procrastinate_notify_queue_job_inserted_v1(); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_notify_queue_job_inserted_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    payload TEXT;
BEGIN
    SELECT json_build_object('type', 'job_inserted', 'job_id', NEW.id)::text INTO payload;
	PERFORM pg_notify('procrastinate_queue_v1#' || NEW.queue_name, payload);
	PERFORM pg_notify('procrastinate_any_queue_v1', payload);
	RETURN NEW;
END;
$$;

-- Name: procrastinate_prune_stalled_workers_v1(double precision); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_prune_stalled_workers_v1(seconds_since_heartbeat double precision) RETURNS TABLE(worker_id bigint)
    LANGUAGE plpgsql
    AS $$
BEGIN
    RETURN QUERY
    DELETE FROM procrastinate_workers
    WHERE last_heartbeat < NOW() - (seconds_since_heartbeat || 'SECOND')::INTERVAL
    RETURNING procrastinate_workers.id;
END;
$$;

-- Name: procrastinate_register_worker_v1(); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_register_worker_v1() RETURNS TABLE(worker_id bigint)
    LANGUAGE plpgsql
    AS $$
BEGIN
    RETURN QUERY
    INSERT INTO procrastinate_workers DEFAULT VALUES
    RETURNING procrastinate_workers.id;
END;
$$;

-- Name: procrastinate_retry_job_v1(bigint, timestamp with time zone, integer, character varying, character varying); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_retry_job_v1(job_id bigint, retry_at timestamp with time zone, new_priority integer, new_queue_name character varying, new_lock character varying) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    _job_id bigint;
    _abort_requested boolean;
BEGIN
    SELECT abort_requested FROM procrastinate_jobs
    WHERE id = job_id AND status = 'doing'
    FOR UPDATE
    INTO _abort_requested;
    IF _abort_requested THEN
        UPDATE procrastinate_jobs
        SET status = 'failed'::procrastinate_job_status
        WHERE id = job_id AND status = 'doing'
        RETURNING id INTO _job_id;
    ELSE
        UPDATE procrastinate_jobs
        SET status = 'todo'::procrastinate_job_status,
            attempts = attempts + 1,
            scheduled_at = retry_at,
            priority = COALESCE(new_priority, priority),
            queue_name = COALESCE(new_queue_name, queue_name),
            lock = COALESCE(new_lock, lock)
        WHERE id = job_id AND status = 'doing'
        RETURNING id INTO _job_id;
    END IF;

    IF _job_id IS NULL THEN
        RAISE 'Job was not found or not in "doing" status (job id: %)', job_id;
    END IF;
END;
$$;

-- Name: procrastinate_retry_job_v2(bigint, timestamp with time zone, integer, character varying, character varying); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_retry_job_v2(job_id bigint, retry_at timestamp with time zone, new_priority integer, new_queue_name character varying, new_lock character varying) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    _job_id bigint;
    _abort_requested boolean;
    _current_status procrastinate_job_status;
BEGIN
    SELECT status, abort_requested FROM procrastinate_jobs
    WHERE id = job_id AND status IN ('doing', 'failed')
    FOR UPDATE
    INTO _current_status, _abort_requested;
    IF _current_status = 'doing' AND _abort_requested THEN
        UPDATE procrastinate_jobs
        SET status = 'failed'::procrastinate_job_status
        WHERE id = job_id AND status = 'doing'
        RETURNING id INTO _job_id;
    ELSE
        UPDATE procrastinate_jobs
        SET status = 'todo'::procrastinate_job_status,
            attempts = attempts + 1,
            scheduled_at = retry_at,
            priority = COALESCE(new_priority, priority),
            queue_name = COALESCE(new_queue_name, queue_name),
            lock = COALESCE(new_lock, lock)
        WHERE id = job_id AND status IN ('doing', 'failed')
        RETURNING id INTO _job_id;
    END IF;

    IF _job_id IS NULL THEN
        RAISE 'Job was not found or has an invalid status to retry (job id: %)', job_id;
    END IF;

END;
$$;

-- Name: procrastinate_trigger_abort_requested_events_procedure_v1(); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_trigger_abort_requested_events_procedure_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO procrastinate_events(job_id, type)
        VALUES (NEW.id, 'abort_requested'::procrastinate_job_event_type);
    RETURN NEW;
END;
$$;

-- Name: procrastinate_trigger_function_scheduled_events_v1(); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_trigger_function_scheduled_events_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO procrastinate_events(job_id, type, at)
        VALUES (NEW.id, 'scheduled'::procrastinate_job_event_type, NEW.scheduled_at);

	RETURN NEW;
END;
$$;

-- Name: procrastinate_trigger_function_status_events_insert_v1(); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_trigger_function_status_events_insert_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO procrastinate_events(job_id, type)
        VALUES (NEW.id, 'deferred'::procrastinate_job_event_type);
	RETURN NEW;
END;
$$;

-- Name: procrastinate_trigger_function_status_events_update_v1(); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_trigger_function_status_events_update_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    WITH t AS (
        SELECT CASE
            WHEN OLD.status = 'todo'::procrastinate_job_status
                AND NEW.status = 'doing'::procrastinate_job_status
                THEN 'started'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'todo'::procrastinate_job_status
                THEN 'deferred_for_retry'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'failed'::procrastinate_job_status
                THEN 'failed'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'succeeded'::procrastinate_job_status
                THEN 'succeeded'::procrastinate_job_event_type
            WHEN OLD.status = 'todo'::procrastinate_job_status
                AND (
                    NEW.status = 'cancelled'::procrastinate_job_status
                    OR NEW.status = 'failed'::procrastinate_job_status
                    OR NEW.status = 'succeeded'::procrastinate_job_status
                )
                THEN 'cancelled'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'aborted'::procrastinate_job_status
                THEN 'aborted'::procrastinate_job_event_type
            WHEN OLD.status = 'failed'::procrastinate_job_status
                AND NEW.status = 'todo'::procrastinate_job_status
                THEN 'retried'::procrastinate_job_event_type
            ELSE NULL
        END as event_type
    )
    INSERT INTO procrastinate_events(job_id, type)
        SELECT NEW.id, t.event_type
        FROM t
        WHERE t.event_type IS NOT NULL;
	RETURN NEW;
END;
$$;

-- Name: procrastinate_unlink_periodic_defers_v1(); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_unlink_periodic_defers_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE procrastinate_periodic_defers
    SET job_id = NULL
    WHERE job_id = OLD.id;
    RETURN OLD;
END;
$$;

-- Name: procrastinate_unregister_worker_v1(bigint); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_unregister_worker_v1(worker_id bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    DELETE FROM procrastinate_workers
    WHERE id = worker_id;
END;
$$;

-- Name: procrastinate_update_heartbeat_v1(bigint); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.procrastinate_update_heartbeat_v1(worker_id bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE procrastinate_workers
    SET last_heartbeat = NOW()
    WHERE id = worker_id;
END;
$$;

-- Name: refuse_change(); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;

-- Name: tell_listeners(); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.tell_listeners() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_notify('nightjar_worklist', NEW.study_uid);
    RETURN NULL;
END $$;

-- Name: tell_review(); Type: FUNCTION; Schema: public; Owner: -

CREATE FUNCTION public.tell_review() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_notify('nightjar_review', '');
    RETURN NULL;
END $$;

-- Name: account; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.account (
    name text NOT NULL,
    password_hash text NOT NULL,
    roles text[] NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    experienced_since date,
    language text
);

-- Name: acknowledgement; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.acknowledgement (
    account text NOT NULL,
    alert text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

-- Name: admission; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.admission (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    account text NOT NULL,
    task text NOT NULL,
    passed boolean NOT NULL,
    attempt integer,
    cases integer,
    dice double precision,
    icc double precision,
    decided_by text,
    reason text
);

-- Name: admission_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.admission ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.admission_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: agreement; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.agreement (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    workitem_id bigint NOT NULL,
    round integer NOT NULL,
    first_id bigint NOT NULL,
    second_id bigint NOT NULL,
    label text NOT NULL,
    first_ml double precision NOT NULL,
    second_ml double precision NOT NULL,
    dice double precision,
    nsd double precision,
    hd95_mm double precision,
    lesion_f1 double precision,
    outside text[] DEFAULT '{}'::text[] NOT NULL
);

-- Name: agreement_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.agreement ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.agreement_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: analysis; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.analysis (
    id bigint NOT NULL,
    study_uid text NOT NULL,
    model text NOT NULL,
    model_version text NOT NULL,
    weights_digest text NOT NULL,
    inputs jsonb NOT NULL,
    input_digest text NOT NULL,
    state text DEFAULT 'queued'::text NOT NULL,
    reason text,
    attempts integer DEFAULT 0 NOT NULL,
    urgency smallint DEFAULT 3 NOT NULL,
    probabilities jsonb DEFAULT '{}'::jsonb NOT NULL,
    slice_probabilities jsonb DEFAULT '{}'::jsonb NOT NULL,
    parameters jsonb DEFAULT '{}'::jsonb NOT NULL,
    measurements jsonb DEFAULT '{}'::jsonb NOT NULL,
    segmentation_key text,
    image_key text,
    preview_key text,
    queued_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    started_at timestamp with time zone,
    analysed_at timestamp with time zone,
    encoded_at timestamp with time zone
);

-- Name: analysis_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.analysis ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.analysis_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: annotation; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.annotation (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    workitem_id bigint NOT NULL,
    slot text NOT NULL,
    round integer NOT NULL,
    author text,
    base_digest text,
    mask_digest text NOT NULL,
    tool text NOT NULL,
    labels jsonb DEFAULT '{}'::jsonb NOT NULL,
    submitted boolean DEFAULT false NOT NULL,
    unchanged boolean DEFAULT false NOT NULL,
    CONSTRAINT annotation_slot_check CHECK ((slot = ANY (ARRAY['A'::text, 'B'::text, 'reviewer'::text, 'arbiter'::text, 'consensus'::text])))
);

-- Name: annotation_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.annotation ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.annotation_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: association; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.association (
    id uuid NOT NULL,
    calling_ae text NOT NULL,
    called_ae text NOT NULL,
    peer text NOT NULL,
    listener text,
    opened_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    active_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    closed_at timestamp with time zone,
    stored integer DEFAULT 0 NOT NULL,
    rejected integer DEFAULT 0 NOT NULL,
    ending text
);

-- Name: audit; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.audit (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    account text,
    action text NOT NULL,
    outcome text DEFAULT 'success'::text NOT NULL,
    study_uid text,
    address text
);

-- Name: audit_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: canary; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.canary (
    model text NOT NULL,
    version text NOT NULL,
    weights_digest text NOT NULL,
    share double precision NOT NULL,
    since timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT canary_share_check CHECK (((share > (0)::double precision) AND (share <= (1)::double precision)))
);

-- Name: comment; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.comment (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    workitem_id bigint NOT NULL,
    slot text NOT NULL,
    round integer NOT NULL,
    author text NOT NULL,
    voxel integer[],
    doubtful boolean DEFAULT false NOT NULL,
    text text NOT NULL,
    CONSTRAINT comment_text_check CHECK ((text <> ''::text)),
    CONSTRAINT comment_voxel_check CHECK ((array_length(voxel, 1) = 3))
);

-- Name: comment_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.comment ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.comment_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: conformance; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.conformance (
    workitem_id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    protocol text NOT NULL,
    lines jsonb NOT NULL
);

-- Name: consent; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.consent (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    patient_id text,
    study_uid text,
    decision text NOT NULL,
    basis text NOT NULL,
    recorded_by text NOT NULL,
    CONSTRAINT consent_decision_check CHECK ((decision = ANY (ARRAY['granted'::text, 'withdrawn'::text, 'hold'::text, 'lifted'::text]))),
    CONSTRAINT consent_subject CHECK (((patient_id IS NULL) <> (study_uid IS NULL)))
);

-- Name: consent_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.consent ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.consent_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: dataset_release; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.dataset_release (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    task text NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    layout text NOT NULL,
    software text NOT NULL,
    key_fingerprint text NOT NULL,
    content text NOT NULL,
    digest text NOT NULL,
    labels jsonb NOT NULL,
    held jsonb NOT NULL,
    recorded_by text NOT NULL
);

-- Name: dataset_release_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.dataset_release ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.dataset_release_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: decision; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.decision (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    workitem_id bigint NOT NULL,
    round integer NOT NULL,
    source text,
    target text NOT NULL,
    account text,
    role text,
    reason text
);

-- Name: decision_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.decision ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.decision_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: delivery; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.delivery (
    id bigint NOT NULL,
    result_id bigint NOT NULL,
    destination text NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    reason text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    delivered_at timestamp with time zone
);

-- Name: delivery_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.delivery ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.delivery_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: event; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.event (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    entity text NOT NULL,
    entity_id text NOT NULL,
    study_uid text,
    kind text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL
);

-- Name: event_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.event ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: finding; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.finding (
    id bigint NOT NULL,
    analysis_id bigint NOT NULL,
    label text NOT NULL,
    probability real NOT NULL,
    volume_ml double precision NOT NULL,
    volume_low_ml double precision,
    volume_high_ml double precision,
    abc2_ml double precision,
    urgency smallint NOT NULL,
    key_slice integer NOT NULL,
    CONSTRAINT finding_volume_range CHECK (((volume_low_ml IS NULL) = (volume_high_ml IS NULL)))
);

-- Name: finding_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.finding ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.finding_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: heartbeat; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.heartbeat (
    part text NOT NULL,
    instance text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL
);

-- Name: instance; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.instance (
    id bigint NOT NULL,
    sop_instance_uid text NOT NULL,
    sop_class_uid text NOT NULL,
    transfer_syntax_uid text NOT NULL,
    series_uid text NOT NULL,
    study_uid text NOT NULL,
    digest text NOT NULL,
    size_bytes bigint NOT NULL,
    conflict boolean DEFAULT false NOT NULL,
    association_id uuid,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

-- Name: result; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.result (
    id bigint NOT NULL,
    analysis_id bigint,
    kind text NOT NULL,
    sop_class_uid text NOT NULL,
    sop_instance_uid text NOT NULL,
    series_uid text NOT NULL,
    digest text NOT NULL,
    size_bytes bigint NOT NULL,
    transfer_syntax_uid text DEFAULT '1.2.840.10008.1.2.1'::text NOT NULL,
    modality text,
    series_number integer,
    series_description text,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
    superseded_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    study_uid text NOT NULL,
    workitem_id bigint,
    CONSTRAINT result_kind_check CHECK ((kind = ANY (ARRAY['seg'::text, 'sr'::text, 'sc'::text, 'mr'::text, 'correction'::text, 'correction_sr'::text]))),
    CONSTRAINT result_of CHECK (((analysis_id IS NOT NULL) OR (workitem_id IS NOT NULL)))
);

-- Name: series; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.series (
    series_uid text NOT NULL,
    study_uid text NOT NULL,
    modality text,
    description text,
    body_part text,
    series_number integer,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
    state text DEFAULT 'receiving'::text NOT NULL,
    reason text,
    role text,
    role_reason text,
    instances integer DEFAULT 0 NOT NULL,
    revision integer DEFAULT 0 NOT NULL,
    first_instance_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_instance_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

-- Name: held_instance; Type: VIEW; Schema: public; Owner: -

CREATE VIEW public.held_instance AS
 SELECT s.study_uid,
    i.series_uid,
    i.sop_instance_uid,
    i.sop_class_uid,
    i.transfer_syntax_uid,
    i.digest,
    i.attributes
   FROM (public.instance i
     JOIN public.series s USING (series_uid))
  WHERE (NOT i.conflict)
UNION ALL
 SELECT r.study_uid,
    r.series_uid,
    r.sop_instance_uid,
    r.sop_class_uid,
    r.transfer_syntax_uid,
    r.digest,
    r.attributes
   FROM (public.result r
     LEFT JOIN public.analysis a ON ((a.id = r.analysis_id)))
  WHERE ((r.superseded_at IS NULL) AND (COALESCE(a.state, 'analysed'::text) = 'analysed'::text) AND (NOT (EXISTS ( SELECT
           FROM public.instance i
          WHERE ((i.sop_instance_uid = r.sop_instance_uid) AND (NOT i.conflict))))));

-- Name: held_series; Type: VIEW; Schema: public; Owner: -

CREATE VIEW public.held_series AS
 SELECT series.series_uid,
    series.study_uid,
    series.modality,
    series.description,
    series.body_part,
    series.series_number,
    (series.instances)::bigint AS instances
   FROM public.series
  WHERE (series.instances > 0)
UNION ALL
 SELECT r.series_uid,
    r.study_uid,
    min(r.modality) AS modality,
    min(r.series_description) AS description,
    NULL::text AS body_part,
    min(r.series_number) AS series_number,
    count(*) AS instances
   FROM (public.result r
     LEFT JOIN public.analysis a ON ((a.id = r.analysis_id)))
  WHERE ((r.superseded_at IS NULL) AND (COALESCE(a.state, 'analysed'::text) = 'analysed'::text) AND (NOT (EXISTS ( SELECT
           FROM public.instance i
          WHERE ((i.sop_instance_uid = r.sop_instance_uid) AND (NOT i.conflict))))))
  GROUP BY r.series_uid, r.study_uid;

-- Name: image_quality; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.image_quality (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    workitem_id bigint NOT NULL,
    account text NOT NULL,
    scale text NOT NULL,
    value smallint NOT NULL,
    motion boolean NOT NULL,
    metal boolean NOT NULL,
    note text,
    CONSTRAINT image_quality_check CHECK (((value >= 1) AND (value <=
CASE scale
    WHEN 'likert'::text THEN 5
    ELSE 3
END))),
    CONSTRAINT image_quality_scale_check CHECK ((scale = ANY (ARRAY['likert'::text, 'grade'::text])))
);

-- Name: image_quality_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.image_quality ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.image_quality_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: instance_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.instance ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.instance_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: ledger_schema; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.ledger_schema (
    version integer NOT NULL
);

-- Name: model; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.model (
    name text NOT NULL,
    version text NOT NULL,
    weights_digest text NOT NULL,
    roles text[] NOT NULL,
    optional_roles text[] DEFAULT '{}'::text[] NOT NULL,
    priority integer NOT NULL,
    registered_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    fewest integer DEFAULT 0 NOT NULL
);

-- Name: notification; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.notification (
    id bigint NOT NULL,
    study_uid text NOT NULL,
    analysis_id bigint NOT NULL,
    destination text NOT NULL,
    kind text NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    reason text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    delivered_at timestamp with time zone,
    CONSTRAINT notification_kind_check CHECK ((kind = ANY (ARRAY['webhook'::text, 'email'::text, 'hl7'::text])))
);

-- Name: notification_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.notification ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.notification_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: opinion; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.opinion (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    study_uid text NOT NULL,
    analysis_id bigint NOT NULL,
    account text NOT NULL,
    verdict text NOT NULL,
    reason text,
    CONSTRAINT opinion_reason CHECK (
CASE
    WHEN (verdict = 'disagree'::text) THEN (COALESCE(reason, ''::text) = ANY (ARRAY['false_positive'::text, 'known'::text, 'artefact'::text, 'wrong_type'::text, 'wrong_extent'::text, 'missed'::text]))
    ELSE (reason IS NULL)
END),
    CONSTRAINT opinion_verdict CHECK ((verdict = ANY (ARRAY['agree'::text, 'disagree'::text, 'withdrawn'::text])))
);

-- Name: opinion_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.opinion ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.opinion_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: procrastinate_events; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.procrastinate_events (
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    type public.procrastinate_job_event_type,
    at timestamp with time zone DEFAULT now()
);

-- Name: procrastinate_events_id_seq; Type: SEQUENCE; Schema: public; Owner: -

CREATE SEQUENCE public.procrastinate_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

-- Name: procrastinate_events_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -

ALTER SEQUENCE public.procrastinate_events_id_seq OWNED BY public.procrastinate_events.id;

-- Name: procrastinate_jobs_id_seq; Type: SEQUENCE; Schema: public; Owner: -

CREATE SEQUENCE public.procrastinate_jobs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

-- Name: procrastinate_jobs_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -

ALTER SEQUENCE public.procrastinate_jobs_id_seq OWNED BY public.procrastinate_jobs.id;

-- Name: procrastinate_periodic_defers; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.procrastinate_periodic_defers (
    id bigint NOT NULL,
    task_name character varying(128) NOT NULL,
    defer_timestamp bigint,
    job_id bigint,
    periodic_id character varying(128) DEFAULT ''::character varying NOT NULL
);

-- Name: procrastinate_periodic_defers_id_seq; Type: SEQUENCE; Schema: public; Owner: -

CREATE SEQUENCE public.procrastinate_periodic_defers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

-- Name: procrastinate_periodic_defers_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -

ALTER SEQUENCE public.procrastinate_periodic_defers_id_seq OWNED BY public.procrastinate_periodic_defers.id;

-- Name: procrastinate_workers; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.procrastinate_workers (
    id bigint NOT NULL,
    last_heartbeat timestamp with time zone DEFAULT now() NOT NULL
);

-- Name: procrastinate_workers_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.procrastinate_workers ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.procrastinate_workers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: promotion; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.promotion (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    model text NOT NULL,
    kind text NOT NULL,
    source_version text NOT NULL,
    target_version text NOT NULL,
    target_digest text NOT NULL,
    account text NOT NULL,
    evidence jsonb DEFAULT '{}'::jsonb NOT NULL,
    reason text,
    CONSTRAINT promotion_kind_check CHECK ((kind = ANY (ARRAY['promotion'::text, 'rollback'::text, 'canary'::text])))
);

-- Name: promotion_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.promotion ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.promotion_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: quarantine; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.quarantine (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    association_id uuid,
    calling_ae text NOT NULL,
    sop_class_uid text,
    sop_instance_uid text,
    digest text,
    reason text NOT NULL,
    status integer NOT NULL
);

-- Name: quarantine_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.quarantine ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.quarantine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: reader_study; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.reader_study (
    id bigint NOT NULL,
    name text NOT NULL,
    arms text[] NOT NULL,
    margin double precision NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    closed_at timestamp with time zone,
    design text DEFAULT 'single'::text NOT NULL,
    seed uuid DEFAULT gen_random_uuid() NOT NULL,
    CONSTRAINT reader_study_arms_check CHECK ((array_length(arms, 1) >= 2)),
    CONSTRAINT reader_study_design_check CHECK ((design = ANY (ARRAY['single'::text, 'pairs'::text]))),
    CONSTRAINT reader_study_margin_check CHECK ((margin > (0)::double precision))
);

-- Name: reader_study_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.reader_study ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.reader_study_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: reader_study_image; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.reader_study_image (
    id bigint NOT NULL,
    reader_study_id bigint NOT NULL,
    study_uid text NOT NULL,
    series_uid text NOT NULL,
    arm text NOT NULL
);

-- Name: reader_study_image_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.reader_study_image ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.reader_study_image_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: reader_study_preference; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.reader_study_preference (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    reference_id bigint NOT NULL,
    other_id bigint NOT NULL,
    account text NOT NULL,
    reference_left boolean NOT NULL,
    scores jsonb NOT NULL
);

-- Name: reader_study_preference_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.reader_study_preference ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.reader_study_preference_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: reader_study_rating; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.reader_study_rating (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    image_id bigint NOT NULL,
    account text NOT NULL,
    scores jsonb NOT NULL
);

-- Name: reader_study_rating_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.reader_study_rating ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.reader_study_rating_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: reading; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.reading (
    workitem_id bigint NOT NULL,
    slot text NOT NULL,
    account text NOT NULL,
    assigned_by text NOT NULL,
    assigned_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    submitted_id bigint,
    submitted_at timestamp with time zone,
    CONSTRAINT reading_slot_check CHECK ((slot = ANY (ARRAY['A'::text, 'B'::text, 'reviewer'::text, 'arbiter'::text])))
);

-- Name: reconciliation; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.reconciliation (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    since timestamp with time zone NOT NULL,
    studies integer NOT NULL,
    differences integer NOT NULL
);

-- Name: reconciliation_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.reconciliation ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.reconciliation_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: reference_case; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.reference_case (
    id bigint NOT NULL,
    task text NOT NULL,
    purpose text NOT NULL,
    study_uid text NOT NULL,
    series_uid text NOT NULL,
    mask_digest text NOT NULL,
    added_by text NOT NULL,
    added_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT reference_case_purpose_check CHECK ((purpose = ANY (ARRAY['training'::text, 'test'::text])))
);

-- Name: reference_case_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.reference_case ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.reference_case_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: result_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.result ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.result_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: shadow_answer; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.shadow_answer (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    analysis_id bigint NOT NULL,
    model text NOT NULL,
    version text NOT NULL,
    weights_digest text NOT NULL,
    live_version text NOT NULL,
    live_weights_digest text NOT NULL,
    failure text,
    flag boolean,
    live_flag boolean,
    labels jsonb DEFAULT '{}'::jsonb NOT NULL,
    seconds double precision,
    live_seconds double precision,
    segmentation_key text,
    live_segmentation_key text,
    CONSTRAINT shadow_answered CHECK (((failure IS NOT NULL) OR ((flag IS NOT NULL) AND (segmentation_key IS NOT NULL))))
);

-- Name: shadow_answer_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.shadow_answer ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.shadow_answer_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: study; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.study (
    study_uid text NOT NULL,
    patient_id text,
    patient_name text,
    patient_birth_date text,
    patient_sex text,
    accession_number text,
    study_id text,
    description text,
    study_date text,
    study_time text,
    referring_physician text,
    state text DEFAULT 'receiving'::text NOT NULL,
    reason text,
    urgency smallint DEFAULT 3 NOT NULL,
    first_instance_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_instance_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    flagged_at timestamp with time zone,
    analysed_at timestamp with time zone,
    claimed_by text,
    claimed_at timestamp with time zone,
    handed_over_by text,
    pseudonym uuid DEFAULT gen_random_uuid() NOT NULL,
    expired_at timestamp with time zone
);

-- Name: transition; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.transition (
    entity text NOT NULL,
    source text,
    target text NOT NULL
);

-- Name: workitem; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.workitem (
    id bigint NOT NULL,
    study_uid text NOT NULL,
    series_uid text NOT NULL,
    analysis_id bigint,
    task text NOT NULL,
    purpose text DEFAULT 'work'::text NOT NULL,
    reference_id bigint,
    attempt integer DEFAULT 1 NOT NULL,
    state text DEFAULT 'to_annotate'::text NOT NULL,
    priority smallint DEFAULT 3 NOT NULL,
    due_at timestamp with time zone,
    cause text NOT NULL,
    cause_detail text,
    created_by text,
    readers smallint DEFAULT 1 NOT NULL,
    round integer DEFAULT 1 NOT NULL,
    ai_digest text,
    standing_id bigint,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT workitem_cause_check CHECK ((cause = ANY (ARRAY['flag'::text, 'disagreement'::text, 'sample'::text, 'uncertainty'::text, 'hand'::text, 'arrival'::text, 'course'::text]))),
    CONSTRAINT workitem_priority_check CHECK (((priority >= 1) AND (priority <= 3))),
    CONSTRAINT workitem_purpose_check CHECK ((purpose = ANY (ARRAY['work'::text, 'training'::text, 'test'::text]))),
    CONSTRAINT workitem_readers_check CHECK ((readers = ANY (ARRAY[1, 2]))),
    CONSTRAINT workitem_reference CHECK (((purpose = 'work'::text) = (reference_id IS NULL)))
);

-- Name: workitem_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.workitem ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.workitem_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: procrastinate_events id; Type: DEFAULT; Schema: public; Owner: -

ALTER TABLE ONLY public.procrastinate_events ALTER COLUMN id SET DEFAULT nextval('public.procrastinate_events_id_seq'::regclass);

-- Name: procrastinate_jobs id; Type: DEFAULT; Schema: public; Owner: -

ALTER TABLE ONLY public.procrastinate_jobs ALTER COLUMN id SET DEFAULT nextval('public.procrastinate_jobs_id_seq'::regclass);

-- Name: procrastinate_periodic_defers id; Type: DEFAULT; Schema: public; Owner: -

ALTER TABLE ONLY public.procrastinate_periodic_defers ALTER COLUMN id SET DEFAULT nextval('public.procrastinate_periodic_defers_id_seq'::regclass);

-- Data for Name: account; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.account VALUES ('ana', '$argon2id$v=19$m=65536,t=3,p=4$xCqOedTjETj2eL8LnAIk2w$9LVB/XtX2MqNkUXlGBHrwC0whFJekJE7Cbcj1FmVT4A', '{radiologist}', '2026-11-22 02:16:32.386191+00', NULL, NULL);
INSERT INTO public.account VALUES ('rui', '$argon2id$v=19$m=65536,t=3,p=4$dRxCTjew/2siEuVAP22pGg$ehzFs7CAvpIewuFKISttbDAX03Kj36TGL/398X0PONI', '{annotator}', '2026-11-22 02:16:33.911231+00', NULL, NULL);

-- Data for Name: acknowledgement; Type: TABLE DATA; Schema: public; Owner: -

-- Data for Name: admission; Type: TABLE DATA; Schema: public; Owner: -

-- Data for Name: agreement; Type: TABLE DATA; Schema: public; Owner: -

-- Data for Name: analysis; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.analysis OVERRIDING SYSTEM VALUE VALUES (1, '1.2.826.0.1.3680043.10.543.1', 'ich', '0.1.0', 'w', '{"NCCT": "1.2.826.0.1.3680043.10.543.1.1"}', '1.2.826.0.1.3680043.10.543.1', 'analysed', NULL, 0, 1, '{"IPH": 0.9}', '{}', '{}', '{}', 's', NULL, 'p', '2026-11-22 02:16:34.009653+00', NULL, '2026-11-22 02:16:34.117612+00', NULL);
INSERT INTO public.analysis OVERRIDING SYSTEM VALUE VALUES (2, '1.2.826.0.1.3680043.10.543.3', 'ich', '0.1.0', 'w', '{}', '1.2.826.0.1.3680043.10.543.3', 'queued', NULL, 0, 3, '{}', '{}', '{}', '{}', NULL, NULL, NULL, '2026-11-22 02:16:34.785425+00', NULL, NULL, NULL);

-- Data for Name: annotation; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.annotation OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-22 02:16:34.435808+00', 1, 'A', 1, 'rui', NULL, 'm', 'editor', '{}', true, false);

-- Data for Name: association; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.association VALUES ('d438df21-100d-419a-9454-103890122325', 'SCANNER', 'NIGHTJAR', '10.1.2.3:4', NULL, '2026-11-22 02:16:28.541898+00', '2026-11-22 02:16:30.954057+00', NULL, 9, 1, NULL);

-- Data for Name: audit; Type: TABLE DATA; Schema: public; Owner: -

-- Data for Name: canary; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.canary VALUES ('ich', '0.6.0', 'w6', 0.1, '2026-11-22 05:11:48.458045+00');

-- Data for Name: comment; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.comment OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-22 02:16:34.467718+00', 1, 'A', 1, 'rui', NULL, false, 'Is this the tentorium?');

-- Data for Name: conformance; Type: TABLE DATA; Schema: public; Owner: -

-- Data for Name: consent; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.consent OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-22 05:11:48.453155+00', 'E1', NULL, 'granted', 'form 3', 'ops');
INSERT INTO public.consent OVERRIDING SYSTEM VALUE VALUES (2, '2026-11-22 05:11:48.457046+00', NULL, '1.2.826.0.1.3680043.10.543.2', 'hold', 'under review', 'ops');

-- Data for Name: dataset_release; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.dataset_release OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-22 05:11:48.452346+00', 'ich', 1, 'first', 'bids', '0.1.0', 'f', 'c', 'd', '[]', '{"no consent": 1}', 'ops');

-- Data for Name: decision; Type: TABLE DATA; Schema: public; Owner: -

-- Data for Name: delivery; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.delivery OVERRIDING SYSTEM VALUE VALUES (1, 1, 'pacs', 'parked', 12, 'The association was refused.', '2026-11-22 02:16:34.212572+00', NULL);
INSERT INTO public.delivery OVERRIDING SYSTEM VALUE VALUES (2, 2, 'pacs', 'delivered', 1, NULL, '2026-11-22 02:16:34.297472+00', '2026-11-22 02:16:34.322937+00');

-- Data for Name: event; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-22 02:16:28.616228+00', 'study', '1.2.826.0.1.3680043.10.543.1', '1.2.826.0.1.3680043.10.543.1', 'state', '{"to": "receiving", "from": null, "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (2, '2026-11-22 02:16:28.690634+00', 'series', '1.2.826.0.1.3680043.10.543.1.1', '1.2.826.0.1.3680043.10.543.1', 'state', '{"to": "receiving", "from": null, "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (3, '2026-11-22 02:16:29.642059+00', 'study', '1.2.826.0.1.3680043.10.543.2', '1.2.826.0.1.3680043.10.543.2', 'state', '{"to": "receiving", "from": null, "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (4, '2026-11-22 02:16:29.669968+00', 'series', '1.2.826.0.1.3680043.10.543.2.1', '1.2.826.0.1.3680043.10.543.2', 'state', '{"to": "receiving", "from": null, "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (5, '2026-11-22 02:16:30.401955+00', 'study', '1.2.826.0.1.3680043.10.543.3', '1.2.826.0.1.3680043.10.543.3', 'state', '{"to": "receiving", "from": null, "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (6, '2026-11-22 02:16:30.405633+00', 'series', '1.2.826.0.1.3680043.10.543.3.1', '1.2.826.0.1.3680043.10.543.3', 'state', '{"to": "receiving", "from": null, "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (7, '2026-11-22 02:16:33.962124+00', 'series', '1.2.826.0.1.3680043.10.543.1.1', '1.2.826.0.1.3680043.10.543.1', 'state', '{"to": "complete", "from": "receiving", "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (8, '2026-11-22 02:16:33.992434+00', 'study', '1.2.826.0.1.3680043.10.543.1', '1.2.826.0.1.3680043.10.543.1', 'state', '{"to": "analysing", "from": "receiving", "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (9, '2026-11-22 02:16:34.010583+00', 'analysis', '1', '1.2.826.0.1.3680043.10.543.1', 'state', '{"to": "queued", "from": null, "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (10, '2026-11-22 02:16:34.034739+00', 'analysis', '1', '1.2.826.0.1.3680043.10.543.1', 'state', '{"to": "running", "from": "queued", "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (11, '2026-11-22 02:16:34.118055+00', 'analysis', '1', '1.2.826.0.1.3680043.10.543.1', 'state', '{"to": "analysed", "from": "running", "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (12, '2026-11-22 02:16:34.146525+00', 'study', '1.2.826.0.1.3680043.10.543.1', '1.2.826.0.1.3680043.10.543.1', 'state', '{"to": "analysed", "from": "analysing", "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (13, '2026-11-22 02:16:34.213698+00', 'delivery', '1', '1.2.826.0.1.3680043.10.543.1', 'state', '{"to": "pending", "from": null, "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (14, '2026-11-22 02:16:34.257616+00', 'delivery', '1', '1.2.826.0.1.3680043.10.543.1', 'state', '{"to": "parked", "from": "pending", "reason": "The association was refused."}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (15, '2026-11-22 02:16:34.298084+00', 'delivery', '2', '1.2.826.0.1.3680043.10.543.1', 'state', '{"to": "pending", "from": null, "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (16, '2026-11-22 02:16:34.32336+00', 'delivery', '2', '1.2.826.0.1.3680043.10.543.1', 'state', '{"to": "delivered", "from": "pending", "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (17, '2026-11-22 02:16:34.389928+00', 'workitem', '1', '1.2.826.0.1.3680043.10.543.1', 'state', '{"to": "to_annotate", "from": null, "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (18, '2026-11-22 02:16:34.510972+00', 'notification', '1', '1.2.826.0.1.3680043.10.543.1', 'state', '{"to": "pending", "from": null, "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (19, '2026-11-22 02:16:34.714792+00', 'study', '1.2.826.0.1.3680043.10.543.2', '1.2.826.0.1.3680043.10.543.2', 'state', '{"to": "parked", "from": "receiving", "reason": "The series for NCCT is incomplete."}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (20, '2026-11-22 02:16:34.737877+00', 'series', '1.2.826.0.1.3680043.10.543.3.1', '1.2.826.0.1.3680043.10.543.3', 'state', '{"to": "complete", "from": "receiving", "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (21, '2026-11-22 02:16:34.768008+00', 'study', '1.2.826.0.1.3680043.10.543.3', '1.2.826.0.1.3680043.10.543.3', 'state', '{"to": "analysing", "from": "receiving", "reason": null}');
INSERT INTO public.event OVERRIDING SYSTEM VALUE VALUES (22, '2026-11-22 02:16:34.786037+00', 'analysis', '2', '1.2.826.0.1.3680043.10.543.3', 'state', '{"to": "queued", "from": null, "reason": null}');

-- Data for Name: finding; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.finding OVERRIDING SYSTEM VALUE VALUES (1, 1, 'IPH', 0.9137, 12.5, NULL, NULL, NULL, 1, 14);
INSERT INTO public.finding OVERRIDING SYSTEM VALUE VALUES (2, 1, 'SAH', 0.9137, 3, NULL, NULL, NULL, 1, 14);

-- Data for Name: heartbeat; Type: TABLE DATA; Schema: public; Owner: -

-- Data for Name: image_quality; Type: TABLE DATA; Schema: public; Owner: -

-- Data for Name: instance; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.instance OVERRIDING SYSTEM VALUE VALUES (1, '1.2.826.0.1.3680043.10.543.1.1.1', '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '1.2.826.0.1.3680043.10.543.1.1', '1.2.826.0.1.3680043.10.543.1', '8f9f9253fb13935d7b9d53418edfba95133576390b4da2702cd96d858701f69b', 1082, false, 'd438df21-100d-419a-9454-103890122325', '{"Rows": 16, "Columns": 16, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "InstanceNumber": 1, "SliceThickness": 5.0, "AcquisitionNumber": 1, "FrameOfReferenceUID": "1.2.826.0.1.3680043.10.543.1.9", "ImagePositionPatient": [-120.0, -120.0, 0.0], "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}', '2026-11-22 02:16:28.541898+00');
INSERT INTO public.instance OVERRIDING SYSTEM VALUE VALUES (2, '1.2.826.0.1.3680043.10.543.1.1.2', '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '1.2.826.0.1.3680043.10.543.1.1', '1.2.826.0.1.3680043.10.543.1', '371b3816345d26ba3bdf570ed619da05581ce0018af970bc15ee65b2a4268f68', 1082, false, 'd438df21-100d-419a-9454-103890122325', '{"Rows": 16, "Columns": 16, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "InstanceNumber": 2, "SliceThickness": 5.0, "AcquisitionNumber": 1, "FrameOfReferenceUID": "1.2.826.0.1.3680043.10.543.1.9", "ImagePositionPatient": [-120.0, -120.0, 5.0], "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}', '2026-11-22 02:16:28.997952+00');
INSERT INTO public.instance OVERRIDING SYSTEM VALUE VALUES (3, '1.2.826.0.1.3680043.10.543.1.1.3', '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '1.2.826.0.1.3680043.10.543.1.1', '1.2.826.0.1.3680043.10.543.1', 'f5c16bab47d9888595ecb548c1537f54b0146d093f0fd7fcad9ac6290754abd1', 1082, false, 'd438df21-100d-419a-9454-103890122325', '{"Rows": 16, "Columns": 16, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "InstanceNumber": 3, "SliceThickness": 5.0, "AcquisitionNumber": 1, "FrameOfReferenceUID": "1.2.826.0.1.3680043.10.543.1.9", "ImagePositionPatient": [-120.0, -120.0, 10.0], "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}', '2026-11-22 02:16:29.295034+00');
INSERT INTO public.instance OVERRIDING SYSTEM VALUE VALUES (4, '1.2.826.0.1.3680043.10.543.2.1.1', '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '1.2.826.0.1.3680043.10.543.2.1', '1.2.826.0.1.3680043.10.543.2', '0e21ccf870507da59ee97129b87551dbda055619f686cf98ce8072eb3e69bff6', 1082, false, 'd438df21-100d-419a-9454-103890122325', '{"Rows": 16, "Columns": 16, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "InstanceNumber": 1, "SliceThickness": 5.0, "AcquisitionNumber": 1, "FrameOfReferenceUID": "1.2.826.0.1.3680043.10.543.2.9", "ImagePositionPatient": [-120.0, -120.0, 0.0], "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}', '2026-11-22 02:16:29.620985+00');
INSERT INTO public.instance OVERRIDING SYSTEM VALUE VALUES (5, '1.2.826.0.1.3680043.10.543.2.1.2', '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '1.2.826.0.1.3680043.10.543.2.1', '1.2.826.0.1.3680043.10.543.2', 'bcc614dc215c632b8e62cf3e2a1b73eac829b4d14915fc0178072f12401e5af6', 1082, false, 'd438df21-100d-419a-9454-103890122325', '{"Rows": 16, "Columns": 16, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "InstanceNumber": 2, "SliceThickness": 5.0, "AcquisitionNumber": 1, "FrameOfReferenceUID": "1.2.826.0.1.3680043.10.543.2.9", "ImagePositionPatient": [-120.0, -120.0, 5.0], "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}', '2026-11-22 02:16:29.896577+00');
INSERT INTO public.instance OVERRIDING SYSTEM VALUE VALUES (6, '1.2.826.0.1.3680043.10.543.2.1.3', '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '1.2.826.0.1.3680043.10.543.2.1', '1.2.826.0.1.3680043.10.543.2', '8e6bfaf5bfca59306239e48150a973c77df9b7d1fe45ff0aae82053f00e340b7', 1082, false, 'd438df21-100d-419a-9454-103890122325', '{"Rows": 16, "Columns": 16, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "InstanceNumber": 3, "SliceThickness": 5.0, "AcquisitionNumber": 1, "FrameOfReferenceUID": "1.2.826.0.1.3680043.10.543.2.9", "ImagePositionPatient": [-120.0, -120.0, 10.0], "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}', '2026-11-22 02:16:30.152863+00');
INSERT INTO public.instance OVERRIDING SYSTEM VALUE VALUES (7, '1.2.826.0.1.3680043.10.543.3.1.1', '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '1.2.826.0.1.3680043.10.543.3.1', '1.2.826.0.1.3680043.10.543.3', 'ab7b02a143bb49238e0fcb6099046a073bb48aecb1d6fdb14fedaa99739113d6', 1082, false, 'd438df21-100d-419a-9454-103890122325', '{"Rows": 16, "Columns": 16, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "InstanceNumber": 1, "SliceThickness": 5.0, "AcquisitionNumber": 1, "FrameOfReferenceUID": "1.2.826.0.1.3680043.10.543.3.9", "ImagePositionPatient": [-120.0, -120.0, 0.0], "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}', '2026-11-22 02:16:30.385796+00');
INSERT INTO public.instance OVERRIDING SYSTEM VALUE VALUES (8, '1.2.826.0.1.3680043.10.543.3.1.2', '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '1.2.826.0.1.3680043.10.543.3.1', '1.2.826.0.1.3680043.10.543.3', '6edb372b68a22581e8e8d610a7049de49c59d49bc1e4239ba8dfaec045031fd0', 1082, false, 'd438df21-100d-419a-9454-103890122325', '{"Rows": 16, "Columns": 16, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "InstanceNumber": 2, "SliceThickness": 5.0, "AcquisitionNumber": 1, "FrameOfReferenceUID": "1.2.826.0.1.3680043.10.543.3.9", "ImagePositionPatient": [-120.0, -120.0, 5.0], "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}', '2026-11-22 02:16:30.637051+00');
INSERT INTO public.instance OVERRIDING SYSTEM VALUE VALUES (9, '1.2.826.0.1.3680043.10.543.3.1.3', '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', '1.2.826.0.1.3680043.10.543.3.1', '1.2.826.0.1.3680043.10.543.3', 'dec21d0c8708f4d4fcd621eb22b206e9b721008a4c39afdee77b501463e0e263', 1082, false, 'd438df21-100d-419a-9454-103890122325', '{"Rows": 16, "Columns": 16, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "InstanceNumber": 3, "SliceThickness": 5.0, "AcquisitionNumber": 1, "FrameOfReferenceUID": "1.2.826.0.1.3680043.10.543.3.9", "ImagePositionPatient": [-120.0, -120.0, 10.0], "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}', '2026-11-22 02:16:30.793012+00');

-- Data for Name: ledger_schema; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.ledger_schema VALUES (6);

-- Data for Name: model; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.model VALUES ('ich', '0.4.0', 'w', '{NCCT}', '{}', 40, '2026-11-22 02:16:33.934127+00', 0);
INSERT INTO public.model VALUES ('ais', '0.2.1', 'w', '{DWI,ADC}', '{}', 35, '2026-11-22 02:16:33.934456+00', 0);

-- Data for Name: notification; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.notification OVERRIDING SYSTEM VALUE VALUES (1, '1.2.826.0.1.3680043.10.543.1', 1, 'ris', 'hl7', 'pending', 0, NULL, '2026-11-22 02:16:34.473736+00', NULL);

-- Data for Name: opinion; Type: TABLE DATA; Schema: public; Owner: -

-- Data for Name: procrastinate_events; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.procrastinate_events VALUES (1, 1, 'deferred', '2026-11-22 02:16:33.928838+00');
INSERT INTO public.procrastinate_events VALUES (2, 2, 'deferred', '2026-11-22 02:16:33.928838+00');

-- Data for Name: procrastinate_jobs; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.procrastinate_jobs VALUES (1, 'assembly', 'route', 0, 'route:1.2.826.0.1.3680043.10.543.2', 'route:1.2.826.0.1.3680043.10.543.2', '{"identifier": "1.2.826.0.1.3680043.10.543.2"}', 'todo', NULL, 0, false, NULL);
INSERT INTO public.procrastinate_jobs VALUES (2, 'inference', 'infer', 40, 'infer:2', 'infer:2', '{"identifier": 2}', 'todo', NULL, 0, false, NULL);

-- Data for Name: procrastinate_periodic_defers; Type: TABLE DATA; Schema: public; Owner: -

-- Data for Name: procrastinate_workers; Type: TABLE DATA; Schema: public; Owner: -

-- Data for Name: promotion; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.promotion OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-22 02:16:34.676961+00', 'ich', 'promotion', '0.3.0', '0.4.0', 'w', 'root', '{}', NULL);

-- Data for Name: quarantine; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.quarantine OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-22 02:16:30.954057+00', 'd438df21-100d-419a-9454-103890122325', 'SCANNER', NULL, NULL, 'ab862f0c0a35bb3a7833d796bf6836d2ce097782b42cc2ce41ef66fff98cdec0', 'The data set ends in the middle of an element.', 49152);

-- Data for Name: reader_study; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.reader_study OVERRIDING SYSTEM VALUE VALUES (1, 'contrast', '{full,reduced}', 0.5, 'ana', '2026-11-22 02:16:34.545647+00', NULL, 'single', '056bb849-aeef-4b38-987f-36e6a9aa894a');

-- Data for Name: reader_study_image; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.reader_study_image OVERRIDING SYSTEM VALUE VALUES (1, 1, '1.2.826.0.1.3680043.10.543.1', '1.2.826.0.1.3680043.10.543.1.1', 'full');

-- Data for Name: reader_study_preference; Type: TABLE DATA; Schema: public; Owner: -

-- Data for Name: reader_study_rating; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.reader_study_rating OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-22 02:16:34.610407+00', 1, 'rui', '{"quality": 5}');

-- Data for Name: reading; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.reading VALUES (1, 'A', 'rui', 'ana', '2026-11-22 02:16:34.413637+00', NULL, NULL);

-- Data for Name: reconciliation; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.reconciliation OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-22 02:16:33.928838+00', '2026-11-21 02:16:33.928838+00', 3, 0);

-- Data for Name: reference_case; Type: TABLE DATA; Schema: public; Owner: -

-- Data for Name: result; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.result OVERRIDING SYSTEM VALUE VALUES (1, 1, 'seg', '1.2.840.10008.5.1.4.1.1.66.4', '2.25.1', '2.25.1', 'd', 1, '1.2.840.10008.1.2.1', NULL, NULL, NULL, '{}', NULL, '2026-11-22 02:16:34.193009+00', '1.2.826.0.1.3680043.10.543.1', NULL);
INSERT INTO public.result OVERRIDING SYSTEM VALUE VALUES (2, 1, 'sr', '1.2.840.10008.5.1.4.1.1.88.33', '2.25.71', '2.25.70', 'd2', 2, '1.2.840.10008.1.2.1', NULL, NULL, NULL, '{}', NULL, '2026-11-22 02:16:34.27314+00', '1.2.826.0.1.3680043.10.543.1', NULL);
INSERT INTO public.result OVERRIDING SYSTEM VALUE VALUES (3, 1, 'correction', '1.2.840.10008.5.1.4.1.1.66.4', '2.25.81', '2.25.80', 'd3', 3, '1.2.840.10008.1.2.1', NULL, NULL, NULL, '{}', NULL, '2026-11-22 02:16:34.440594+00', '1.2.826.0.1.3680043.10.543.1', 1);
INSERT INTO public.result OVERRIDING SYSTEM VALUE VALUES (4, NULL, 'correction_sr', '1.2.840.10008.5.1.4.1.1.88.33', '2.25.91', '2.25.90', 'd4', 4, '1.2.840.10008.1.2.1', NULL, NULL, NULL, '{}', NULL, '2026-11-22 05:11:48.482461+00', '1.2.826.0.1.3680043.10.543.1', 1);

-- Data for Name: series; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.series VALUES ('1.2.826.0.1.3680043.10.543.2.1', '1.2.826.0.1.3680043.10.543.2', 'CT', 'Head 5.0 H31s', 'HEAD', 1, '{"Rows": 16, "Columns": 16, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "PixelSpacing": [0.5, 0.5], "SliceThickness": 5.0, "ConvolutionKernel": "H31s", "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}', 'receiving', NULL, NULL, NULL, 3, 3, '2026-11-22 02:16:29.620985+00', '2026-11-22 02:16:30.152863+00');
INSERT INTO public.series VALUES ('1.2.826.0.1.3680043.10.543.1.1', '1.2.826.0.1.3680043.10.543.1', 'CT', 'Head 5.0 H31s', 'HEAD', 1, '{"Rows": 16, "Columns": 16, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "PixelSpacing": [0.5, 0.5], "SliceThickness": 5.0, "ConvolutionKernel": "H31s", "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}', 'complete', NULL, 'NCCT', 'Head CT without contrast, axial', 3, 3, '2026-11-22 02:16:28.541898+00', '2026-11-22 02:16:29.295034+00');
INSERT INTO public.series VALUES ('1.2.826.0.1.3680043.10.543.3.1', '1.2.826.0.1.3680043.10.543.3', 'CT', 'Head 5.0 H31s', 'HEAD', 1, '{"Rows": 16, "Columns": 16, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "PixelSpacing": [0.5, 0.5], "SliceThickness": 5.0, "ConvolutionKernel": "H31s", "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}', 'complete', NULL, 'NCCT', 'Head CT without contrast, axial', 3, 3, '2026-11-22 02:16:30.385796+00', '2026-11-22 02:16:30.793012+00');

-- Data for Name: shadow_answer; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.shadow_answer OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-22 02:16:34.630855+00', 1, 'ich', '0.5.0', 'w2', '0.4.0', 'w', NULL, true, true, '{}', NULL, NULL, 's', NULL);

-- Data for Name: study; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.study VALUES ('1.2.826.0.1.3680043.10.543.1', 'E1', 'Example^One', NULL, NULL, 'A1', NULL, 'Head', '20260102', '030405', NULL, 'analysed', NULL, 1, '2026-11-22 02:16:28.541898+00', '2026-11-22 02:16:29.295034+00', NULL, '2026-11-22 02:16:34.146097+00', NULL, NULL, NULL, '7b79763f-c0ca-4ae7-8a1d-e2c232693465', NULL);
INSERT INTO public.study VALUES ('1.2.826.0.1.3680043.10.543.3', 'E1', 'Example^One', NULL, NULL, 'A1', NULL, 'Head', '20260102', '030405', NULL, 'analysing', NULL, 3, '2026-11-22 02:16:30.385796+00', '2026-11-22 02:16:30.793012+00', NULL, NULL, NULL, NULL, NULL, '6ea7545a-fcf6-4603-b2d1-28ef9a77f214', NULL);
INSERT INTO public.study VALUES ('1.2.826.0.1.3680043.10.543.2', 'E1', 'Example^One', NULL, NULL, 'A1', NULL, 'Head', '20260102', '030405', NULL, 'parked', 'The series for NCCT is incomplete.', 3, '2026-11-22 02:16:29.620985+00', '2026-11-22 02:16:30.152863+00', NULL, NULL, NULL, NULL, NULL, 'ba57771f-54c5-42b8-866d-e909fc984d61', '2026-11-22 05:11:48.452346+00');

-- Data for Name: transition; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.transition VALUES ('series', NULL, 'receiving');
INSERT INTO public.transition VALUES ('series', 'receiving', 'complete');
INSERT INTO public.transition VALUES ('series', 'receiving', 'incomplete');
INSERT INTO public.transition VALUES ('series', 'complete', 'receiving');
INSERT INTO public.transition VALUES ('series', 'incomplete', 'receiving');
INSERT INTO public.transition VALUES ('study', NULL, 'receiving');
INSERT INTO public.transition VALUES ('study', 'receiving', 'analysing');
INSERT INTO public.transition VALUES ('study', 'receiving', 'not_applicable');
INSERT INTO public.transition VALUES ('study', 'receiving', 'parked');
INSERT INTO public.transition VALUES ('study', 'analysing', 'analysed');
INSERT INTO public.transition VALUES ('study', 'analysing', 'failed');
INSERT INTO public.transition VALUES ('study', 'analysing', 'parked');
INSERT INTO public.transition VALUES ('study', 'analysing', 'receiving');
INSERT INTO public.transition VALUES ('study', 'analysed', 'receiving');
INSERT INTO public.transition VALUES ('study', 'analysed', 'failed');
INSERT INTO public.transition VALUES ('study', 'not_applicable', 'receiving');
INSERT INTO public.transition VALUES ('study', 'failed', 'receiving');
INSERT INTO public.transition VALUES ('study', 'failed', 'analysing');
INSERT INTO public.transition VALUES ('study', 'parked', 'receiving');
INSERT INTO public.transition VALUES ('analysis', NULL, 'queued');
INSERT INTO public.transition VALUES ('analysis', 'queued', 'running');
INSERT INTO public.transition VALUES ('analysis', 'running', 'queued');
INSERT INTO public.transition VALUES ('analysis', 'running', 'analysed');
INSERT INTO public.transition VALUES ('analysis', 'running', 'failed');
INSERT INTO public.transition VALUES ('analysis', 'queued', 'failed');
INSERT INTO public.transition VALUES ('analysis', 'analysed', 'failed');
INSERT INTO public.transition VALUES ('analysis', 'failed', 'queued');
INSERT INTO public.transition VALUES ('analysis', 'queued', 'superseded');
INSERT INTO public.transition VALUES ('analysis', 'running', 'superseded');
INSERT INTO public.transition VALUES ('analysis', 'analysed', 'superseded');
INSERT INTO public.transition VALUES ('analysis', 'failed', 'superseded');
INSERT INTO public.transition VALUES ('analysis', 'superseded', 'queued');
INSERT INTO public.transition VALUES ('delivery', NULL, 'pending');
INSERT INTO public.transition VALUES ('delivery', 'pending', 'delivered');
INSERT INTO public.transition VALUES ('delivery', 'pending', 'parked');
INSERT INTO public.transition VALUES ('delivery', 'parked', 'pending');
INSERT INTO public.transition VALUES ('delivery', 'pending', 'cancelled');
INSERT INTO public.transition VALUES ('delivery', 'parked', 'cancelled');
INSERT INTO public.transition VALUES ('delivery', 'cancelled', 'pending');
INSERT INTO public.transition VALUES ('workitem', NULL, 'to_annotate');
INSERT INTO public.transition VALUES ('workitem', 'to_annotate', 'annotated');
INSERT INTO public.transition VALUES ('workitem', 'annotated', 'in_review');
INSERT INTO public.transition VALUES ('workitem', 'annotated', 'disputed');
INSERT INTO public.transition VALUES ('workitem', 'in_review', 'annotated');
INSERT INTO public.transition VALUES ('workitem', 'in_review', 'accepted');
INSERT INTO public.transition VALUES ('workitem', 'in_review', 'returned');
INSERT INTO public.transition VALUES ('workitem', 'in_review', 'disputed');
INSERT INTO public.transition VALUES ('workitem', 'returned', 'annotated');
INSERT INTO public.transition VALUES ('workitem', 'disputed', 'arbitrated');
INSERT INTO public.transition VALUES ('workitem', 'arbitrated', 'accepted');
INSERT INTO public.transition VALUES ('workitem', 'arbitrated', 'disputed');
INSERT INTO public.transition VALUES ('workitem', 'accepted', 'in_review');
INSERT INTO public.transition VALUES ('workitem', 'to_annotate', 'excluded');
INSERT INTO public.transition VALUES ('workitem', 'annotated', 'excluded');
INSERT INTO public.transition VALUES ('workitem', 'in_review', 'excluded');
INSERT INTO public.transition VALUES ('workitem', 'returned', 'excluded');
INSERT INTO public.transition VALUES ('workitem', 'disputed', 'excluded');
INSERT INTO public.transition VALUES ('workitem', 'arbitrated', 'excluded');
INSERT INTO public.transition VALUES ('workitem', 'excluded', 'to_annotate');
INSERT INTO public.transition VALUES ('notification', NULL, 'pending');
INSERT INTO public.transition VALUES ('notification', 'pending', 'delivered');
INSERT INTO public.transition VALUES ('notification', 'pending', 'parked');
INSERT INTO public.transition VALUES ('notification', 'parked', 'pending');
INSERT INTO public.transition VALUES ('notification', 'pending', 'cancelled');
INSERT INTO public.transition VALUES ('notification', 'parked', 'cancelled');

-- Data for Name: workitem; Type: TABLE DATA; Schema: public; Owner: -

INSERT INTO public.workitem OVERRIDING SYSTEM VALUE VALUES (1, '1.2.826.0.1.3680043.10.543.1', '1.2.826.0.1.3680043.10.543.1.1', 1, 'ich', 'work', NULL, 1, 'to_annotate', 3, NULL, 'flag', NULL, NULL, 1, 1, NULL, NULL, '2026-11-22 02:16:34.360663+00', '2026-11-22 02:16:34.360663+00');

-- Name: admission_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.admission_id_seq', 1, false);

-- Name: agreement_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.agreement_id_seq', 1, false);

-- Name: analysis_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.analysis_id_seq', 2, true);

-- Name: annotation_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.annotation_id_seq', 1, true);

-- Name: audit_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.audit_id_seq', 1, false);

-- Name: comment_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.comment_id_seq', 1, true);

-- Name: consent_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.consent_id_seq', 2, true);

-- Name: dataset_release_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.dataset_release_id_seq', 1, true);

-- Name: decision_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.decision_id_seq', 1, false);

-- Name: delivery_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.delivery_id_seq', 2, true);

-- Name: event_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.event_id_seq', 22, true);

-- Name: finding_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.finding_id_seq', 2, true);

-- Name: image_quality_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.image_quality_id_seq', 1, false);

-- Name: instance_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.instance_id_seq', 9, true);

-- Name: notification_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.notification_id_seq', 1, true);

-- Name: opinion_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.opinion_id_seq', 1, false);

-- Name: procrastinate_events_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.procrastinate_events_id_seq', 2, true);

-- Name: procrastinate_jobs_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.procrastinate_jobs_id_seq', 2, true);

-- Name: procrastinate_periodic_defers_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.procrastinate_periodic_defers_id_seq', 1, false);

-- Name: procrastinate_workers_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.procrastinate_workers_id_seq', 1, false);

-- Name: promotion_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.promotion_id_seq', 1, true);

-- Name: quarantine_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.quarantine_id_seq', 1, true);

-- Name: reader_study_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.reader_study_id_seq', 1, true);

-- Name: reader_study_image_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.reader_study_image_id_seq', 1, true);

-- Name: reader_study_preference_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.reader_study_preference_id_seq', 1, false);

-- Name: reader_study_rating_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.reader_study_rating_id_seq', 1, true);

-- Name: reconciliation_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.reconciliation_id_seq', 1, true);

-- Name: reference_case_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.reference_case_id_seq', 1, false);

-- Name: result_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.result_id_seq', 4, true);

-- Name: shadow_answer_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.shadow_answer_id_seq', 1, true);

-- Name: workitem_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -

SELECT pg_catalog.setval('public.workitem_id_seq', 1, true);

-- Name: account account_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (name);

-- Name: acknowledgement acknowledgement_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.acknowledgement
    ADD CONSTRAINT acknowledgement_pkey PRIMARY KEY (account, alert);

-- Name: admission admission_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.admission
    ADD CONSTRAINT admission_pkey PRIMARY KEY (id);

-- Name: agreement agreement_first_id_second_id_label_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.agreement
    ADD CONSTRAINT agreement_first_id_second_id_label_key UNIQUE (first_id, second_id, label);

-- Name: agreement agreement_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.agreement
    ADD CONSTRAINT agreement_pkey PRIMARY KEY (id);

-- Name: analysis analysis_model_model_version_weights_digest_input_digest_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.analysis
    ADD CONSTRAINT analysis_model_model_version_weights_digest_input_digest_key UNIQUE (model, model_version, weights_digest, input_digest);

-- Name: analysis analysis_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.analysis
    ADD CONSTRAINT analysis_pkey PRIMARY KEY (id);

-- Name: annotation annotation_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.annotation
    ADD CONSTRAINT annotation_pkey PRIMARY KEY (id);

-- Name: association association_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.association
    ADD CONSTRAINT association_pkey PRIMARY KEY (id);

-- Name: audit audit_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);

-- Name: canary canary_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.canary
    ADD CONSTRAINT canary_pkey PRIMARY KEY (model);

-- Name: comment comment_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.comment
    ADD CONSTRAINT comment_pkey PRIMARY KEY (id);

-- Name: conformance conformance_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.conformance
    ADD CONSTRAINT conformance_pkey PRIMARY KEY (workitem_id);

-- Name: consent consent_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.consent
    ADD CONSTRAINT consent_pkey PRIMARY KEY (id);

-- Name: dataset_release dataset_release_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.dataset_release
    ADD CONSTRAINT dataset_release_pkey PRIMARY KEY (id);

-- Name: dataset_release dataset_release_task_content_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.dataset_release
    ADD CONSTRAINT dataset_release_task_content_key UNIQUE (task, content);

-- Name: dataset_release dataset_release_task_number_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.dataset_release
    ADD CONSTRAINT dataset_release_task_number_key UNIQUE (task, number);

-- Name: decision decision_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.decision
    ADD CONSTRAINT decision_pkey PRIMARY KEY (id);

-- Name: delivery delivery_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (id);

-- Name: delivery delivery_result_id_destination_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_result_id_destination_key UNIQUE (result_id, destination);

-- Name: event event_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (id);

-- Name: finding finding_analysis_id_label_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.finding
    ADD CONSTRAINT finding_analysis_id_label_key UNIQUE (analysis_id, label);

-- Name: finding finding_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.finding
    ADD CONSTRAINT finding_pkey PRIMARY KEY (id);

-- Name: heartbeat heartbeat_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.heartbeat
    ADD CONSTRAINT heartbeat_pkey PRIMARY KEY (part, instance);

-- Name: image_quality image_quality_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.image_quality
    ADD CONSTRAINT image_quality_pkey PRIMARY KEY (id);

-- Name: instance instance_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.instance
    ADD CONSTRAINT instance_pkey PRIMARY KEY (id);

-- Name: instance instance_sop_instance_uid_digest_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.instance
    ADD CONSTRAINT instance_sop_instance_uid_digest_key UNIQUE (sop_instance_uid, digest);

-- Name: model model_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.model
    ADD CONSTRAINT model_pkey PRIMARY KEY (name);

-- Name: notification notification_analysis_id_destination_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.notification
    ADD CONSTRAINT notification_analysis_id_destination_key UNIQUE (analysis_id, destination);

-- Name: notification notification_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.notification
    ADD CONSTRAINT notification_pkey PRIMARY KEY (id);

-- Name: opinion opinion_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.opinion
    ADD CONSTRAINT opinion_pkey PRIMARY KEY (id);

-- Name: procrastinate_events procrastinate_events_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.procrastinate_events
    ADD CONSTRAINT procrastinate_events_pkey PRIMARY KEY (id);

-- Name: procrastinate_jobs procrastinate_jobs_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.procrastinate_jobs
    ADD CONSTRAINT procrastinate_jobs_pkey PRIMARY KEY (id);

-- Name: procrastinate_periodic_defers procrastinate_periodic_defers_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.procrastinate_periodic_defers
    ADD CONSTRAINT procrastinate_periodic_defers_pkey PRIMARY KEY (id);

-- Name: procrastinate_periodic_defers procrastinate_periodic_defers_unique; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.procrastinate_periodic_defers
    ADD CONSTRAINT procrastinate_periodic_defers_unique UNIQUE (task_name, periodic_id, defer_timestamp);

-- Name: procrastinate_workers procrastinate_workers_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.procrastinate_workers
    ADD CONSTRAINT procrastinate_workers_pkey PRIMARY KEY (id);

-- Name: promotion promotion_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.promotion
    ADD CONSTRAINT promotion_pkey PRIMARY KEY (id);

-- Name: quarantine quarantine_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (id);

-- Name: reader_study_image reader_study_image_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reader_study_image
    ADD CONSTRAINT reader_study_image_pkey PRIMARY KEY (id);

-- Name: reader_study_image reader_study_image_reader_study_id_study_uid_arm_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reader_study_image
    ADD CONSTRAINT reader_study_image_reader_study_id_study_uid_arm_key UNIQUE (reader_study_id, study_uid, arm);

-- Name: reader_study reader_study_name_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reader_study
    ADD CONSTRAINT reader_study_name_key UNIQUE (name);

-- Name: reader_study reader_study_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reader_study
    ADD CONSTRAINT reader_study_pkey PRIMARY KEY (id);

-- Name: reader_study_preference reader_study_preference_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reader_study_preference
    ADD CONSTRAINT reader_study_preference_pkey PRIMARY KEY (id);

-- Name: reader_study_preference reader_study_preference_reference_id_other_id_account_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reader_study_preference
    ADD CONSTRAINT reader_study_preference_reference_id_other_id_account_key UNIQUE (reference_id, other_id, account);

-- Name: reader_study_rating reader_study_rating_image_id_account_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reader_study_rating
    ADD CONSTRAINT reader_study_rating_image_id_account_key UNIQUE (image_id, account);

-- Name: reader_study_rating reader_study_rating_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reader_study_rating
    ADD CONSTRAINT reader_study_rating_pkey PRIMARY KEY (id);

-- Name: reading reading_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reading
    ADD CONSTRAINT reading_pkey PRIMARY KEY (workitem_id, slot);

-- Name: reading reading_workitem_id_account_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reading
    ADD CONSTRAINT reading_workitem_id_account_key UNIQUE (workitem_id, account);

-- Name: reconciliation reconciliation_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reconciliation
    ADD CONSTRAINT reconciliation_pkey PRIMARY KEY (id);

-- Name: reference_case reference_case_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reference_case
    ADD CONSTRAINT reference_case_pkey PRIMARY KEY (id);

-- Name: reference_case reference_case_task_series_uid_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reference_case
    ADD CONSTRAINT reference_case_task_series_uid_key UNIQUE (task, series_uid);

-- Name: result result_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.result
    ADD CONSTRAINT result_pkey PRIMARY KEY (id);

-- Name: result result_sop_instance_uid_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.result
    ADD CONSTRAINT result_sop_instance_uid_key UNIQUE (sop_instance_uid);

-- Name: series series_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.series
    ADD CONSTRAINT series_pkey PRIMARY KEY (series_uid);

-- Name: shadow_answer shadow_answer_analysis_id_version_weights_digest_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.shadow_answer
    ADD CONSTRAINT shadow_answer_analysis_id_version_weights_digest_key UNIQUE (analysis_id, version, weights_digest);

-- Name: shadow_answer shadow_answer_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.shadow_answer
    ADD CONSTRAINT shadow_answer_pkey PRIMARY KEY (id);

-- Name: study study_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.study
    ADD CONSTRAINT study_pkey PRIMARY KEY (study_uid);

-- Name: study study_pseudonym; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.study
    ADD CONSTRAINT study_pseudonym UNIQUE (pseudonym);

-- Name: transition transition_entity_source_target_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.transition
    ADD CONSTRAINT transition_entity_source_target_key UNIQUE NULLS NOT DISTINCT (entity, source, target);

-- Name: workitem workitem_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.workitem
    ADD CONSTRAINT workitem_pkey PRIMARY KEY (id);

-- Name: admission_account; Type: INDEX; Schema: public; Owner: -

CREATE INDEX admission_account ON public.admission USING btree (account, task, id);

-- Name: agreement_workitem; Type: INDEX; Schema: public; Owner: -

CREATE INDEX agreement_workitem ON public.agreement USING btree (workitem_id, round);

-- Name: analysis_study; Type: INDEX; Schema: public; Owner: -

CREATE INDEX analysis_study ON public.analysis USING btree (study_uid);

-- Name: analysis_waiting; Type: INDEX; Schema: public; Owner: -

CREATE INDEX analysis_waiting ON public.analysis USING btree (queued_at) WHERE (state = ANY (ARRAY['queued'::text, 'running'::text]));

-- Name: annotation_workitem; Type: INDEX; Schema: public; Owner: -

CREATE INDEX annotation_workitem ON public.annotation USING btree (workitem_id, slot, id);

-- Name: association_closed; Type: INDEX; Schema: public; Owner: -

CREATE INDEX association_closed ON public.association USING btree (closed_at) WHERE (closed_at IS NOT NULL);

-- Name: association_open; Type: INDEX; Schema: public; Owner: -

CREATE INDEX association_open ON public.association USING btree (opened_at) WHERE (closed_at IS NULL);

-- Name: comment_workitem; Type: INDEX; Schema: public; Owner: -

CREATE INDEX comment_workitem ON public.comment USING btree (workitem_id, id);

-- Name: consent_patient; Type: INDEX; Schema: public; Owner: -

CREATE INDEX consent_patient ON public.consent USING btree (patient_id, id);

-- Name: consent_study; Type: INDEX; Schema: public; Owner: -

CREATE INDEX consent_study ON public.consent USING btree (study_uid, id);

-- Name: decision_workitem; Type: INDEX; Schema: public; Owner: -

CREATE INDEX decision_workitem ON public.decision USING btree (workitem_id, id);

-- Name: delivery_undelivered; Type: INDEX; Schema: public; Owner: -

CREATE INDEX delivery_undelivered ON public.delivery USING btree (created_at) WHERE (state = ANY (ARRAY['pending'::text, 'parked'::text]));

-- Name: event_study; Type: INDEX; Schema: public; Owner: -

CREATE INDEX event_study ON public.event USING btree (study_uid, id);

-- Name: idx_procrastinate_jobs_worker_not_null; Type: INDEX; Schema: public; Owner: -

CREATE INDEX idx_procrastinate_jobs_worker_not_null ON public.procrastinate_jobs USING btree (worker_id) WHERE ((worker_id IS NOT NULL) AND (status = 'doing'::public.procrastinate_job_status));

-- Name: idx_procrastinate_workers_last_heartbeat; Type: INDEX; Schema: public; Owner: -

CREATE INDEX idx_procrastinate_workers_last_heartbeat ON public.procrastinate_workers USING btree (last_heartbeat);

-- Name: image_quality_workitem; Type: INDEX; Schema: public; Owner: -

CREATE INDEX image_quality_workitem ON public.image_quality USING btree (workitem_id, id);

-- Name: instance_association; Type: INDEX; Schema: public; Owner: -

CREATE INDEX instance_association ON public.instance USING btree (association_id, series_uid);

-- Name: instance_first; Type: INDEX; Schema: public; Owner: -

CREATE UNIQUE INDEX instance_first ON public.instance USING btree (sop_instance_uid) WHERE (NOT conflict);

-- Name: instance_series; Type: INDEX; Schema: public; Owner: -

CREATE INDEX instance_series ON public.instance USING btree (series_uid);

-- Name: notification_study; Type: INDEX; Schema: public; Owner: -

CREATE INDEX notification_study ON public.notification USING btree (study_uid);

-- Name: notification_undelivered; Type: INDEX; Schema: public; Owner: -

CREATE INDEX notification_undelivered ON public.notification USING btree (created_at) WHERE (state = ANY (ARRAY['pending'::text, 'parked'::text]));

-- Name: opinion_study; Type: INDEX; Schema: public; Owner: -

CREATE INDEX opinion_study ON public.opinion USING btree (study_uid, id);

-- Name: procrastinate_events_job_id_fkey_v1; Type: INDEX; Schema: public; Owner: -

CREATE INDEX procrastinate_events_job_id_fkey_v1 ON public.procrastinate_events USING btree (job_id);

-- Name: procrastinate_jobs_id_lock_idx_v1; Type: INDEX; Schema: public; Owner: -

CREATE INDEX procrastinate_jobs_id_lock_idx_v1 ON public.procrastinate_jobs USING btree (id, lock) WHERE (status = ANY (ARRAY['todo'::public.procrastinate_job_status, 'doing'::public.procrastinate_job_status]));

-- Name: procrastinate_jobs_lock_idx_v1; Type: INDEX; Schema: public; Owner: -

CREATE UNIQUE INDEX procrastinate_jobs_lock_idx_v1 ON public.procrastinate_jobs USING btree (lock) WHERE (status = 'doing'::public.procrastinate_job_status);

-- Name: procrastinate_jobs_priority_idx_v1; Type: INDEX; Schema: public; Owner: -

CREATE INDEX procrastinate_jobs_priority_idx_v1 ON public.procrastinate_jobs USING btree (priority DESC, id) WHERE (status = 'todo'::public.procrastinate_job_status);

-- Name: procrastinate_jobs_queue_name_idx_v1; Type: INDEX; Schema: public; Owner: -

CREATE INDEX procrastinate_jobs_queue_name_idx_v1 ON public.procrastinate_jobs USING btree (queue_name);

-- Name: procrastinate_jobs_queueing_lock_idx_v1; Type: INDEX; Schema: public; Owner: -

CREATE UNIQUE INDEX procrastinate_jobs_queueing_lock_idx_v1 ON public.procrastinate_jobs USING btree (queueing_lock) WHERE (status = 'todo'::public.procrastinate_job_status);

-- Name: procrastinate_periodic_defers_job_id_fkey_v1; Type: INDEX; Schema: public; Owner: -

CREATE INDEX procrastinate_periodic_defers_job_id_fkey_v1 ON public.procrastinate_periodic_defers USING btree (job_id);

-- Name: reading_account; Type: INDEX; Schema: public; Owner: -

CREATE INDEX reading_account ON public.reading USING btree (account);

-- Name: result_analysis; Type: INDEX; Schema: public; Owner: -

CREATE INDEX result_analysis ON public.result USING btree (analysis_id, kind);

-- Name: result_series; Type: INDEX; Schema: public; Owner: -

CREATE INDEX result_series ON public.result USING btree (series_uid);

-- Name: result_study; Type: INDEX; Schema: public; Owner: -

CREATE INDEX result_study ON public.result USING btree (study_uid);

-- Name: result_workitem; Type: INDEX; Schema: public; Owner: -

CREATE INDEX result_workitem ON public.result USING btree (workitem_id);

-- Name: series_open; Type: INDEX; Schema: public; Owner: -

CREATE INDEX series_open ON public.series USING btree (last_instance_at) WHERE (state = 'receiving'::text);

-- Name: series_study; Type: INDEX; Schema: public; Owner: -

CREATE INDEX series_study ON public.series USING btree (study_uid);

-- Name: shadow_answer_model; Type: INDEX; Schema: public; Owner: -

CREATE INDEX shadow_answer_model ON public.shadow_answer USING btree (model, version);

-- Name: study_accession; Type: INDEX; Schema: public; Owner: -

CREATE INDEX study_accession ON public.study USING btree (accession_number);

-- Name: study_key; Type: INDEX; Schema: public; Owner: -

CREATE INDEX study_key ON public.study USING btree (md5(study_uid));

-- Name: study_patient; Type: INDEX; Schema: public; Owner: -

CREATE INDEX study_patient ON public.study USING btree (patient_id);

-- Name: study_unanswered; Type: INDEX; Schema: public; Owner: -

CREATE INDEX study_unanswered ON public.study USING btree (state) WHERE ((state <> 'analysed'::text) AND (state <> 'not_applicable'::text));

-- Name: study_worklist; Type: INDEX; Schema: public; Owner: -

CREATE INDEX study_worklist ON public.study USING btree (urgency, first_instance_at);

-- Name: workitem_answer; Type: INDEX; Schema: public; Owner: -

CREATE UNIQUE INDEX workitem_answer ON public.workitem USING btree (analysis_id, task) WHERE ((purpose = 'work'::text) AND (analysis_id IS NOT NULL));

-- Name: workitem_state; Type: INDEX; Schema: public; Owner: -

CREATE INDEX workitem_state ON public.workitem USING btree (state, priority, due_at);

-- Name: workitem_study; Type: INDEX; Schema: public; Owner: -

CREATE INDEX workitem_study ON public.workitem USING btree (study_uid);

-- Name: admission admission_append_only; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER admission_append_only BEFORE DELETE OR UPDATE ON public.admission FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

-- Name: agreement agreement_append_only; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER agreement_append_only BEFORE DELETE OR UPDATE ON public.agreement FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

-- Name: analysis analysis_state; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER analysis_state AFTER INSERT OR UPDATE OF state ON public.analysis FOR EACH ROW EXECUTE FUNCTION public.guard_state('id');

-- Name: annotation annotation_append_only; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER annotation_append_only BEFORE DELETE OR UPDATE ON public.annotation FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

-- Name: audit audit_append_only; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER audit_append_only BEFORE DELETE OR UPDATE ON public.audit FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

-- Name: comment comment_append_only; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER comment_append_only BEFORE DELETE OR UPDATE ON public.comment FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

-- Name: consent consent_append_only; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER consent_append_only BEFORE DELETE OR UPDATE ON public.consent FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

-- Name: dataset_release dataset_release_append_only; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER dataset_release_append_only BEFORE DELETE OR UPDATE ON public.dataset_release FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

-- Name: decision decision_append_only; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER decision_append_only BEFORE DELETE OR UPDATE ON public.decision FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

-- Name: delivery delivery_state; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER delivery_state AFTER INSERT OR UPDATE OF state ON public.delivery FOR EACH ROW EXECUTE FUNCTION public.guard_state('id');

-- Name: event event_append_only; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER event_append_only BEFORE DELETE OR UPDATE ON public.event FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

-- Name: image_quality image_quality_append_only; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER image_quality_append_only BEFORE DELETE OR UPDATE ON public.image_quality FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

-- Name: notification notification_state; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER notification_state AFTER INSERT OR UPDATE OF state ON public.notification FOR EACH ROW EXECUTE FUNCTION public.guard_state('id');

-- Name: opinion opinion_append_only; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER opinion_append_only BEFORE DELETE OR UPDATE ON public.opinion FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

-- Name: opinion opinion_told; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER opinion_told AFTER INSERT ON public.opinion FOR EACH ROW EXECUTE FUNCTION public.tell_listeners();

-- Name: procrastinate_jobs procrastinate_jobs_notify_queue_job_aborted_v1; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER procrastinate_jobs_notify_queue_job_aborted_v1 AFTER UPDATE OF abort_requested ON public.procrastinate_jobs FOR EACH ROW WHEN (((old.abort_requested = false) AND (new.abort_requested = true) AND (new.status = 'doing'::public.procrastinate_job_status))) EXECUTE FUNCTION public.procrastinate_notify_queue_abort_job_v1();

-- Name: procrastinate_jobs procrastinate_jobs_notify_queue_job_inserted_v1; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER procrastinate_jobs_notify_queue_job_inserted_v1 AFTER INSERT ON public.procrastinate_jobs FOR EACH ROW WHEN ((new.status = 'todo'::public.procrastinate_job_status)) EXECUTE FUNCTION public.procrastinate_notify_queue_job_inserted_v1();

-- Name: procrastinate_jobs procrastinate_trigger_abort_requested_events_v1; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER procrastinate_trigger_abort_requested_events_v1 AFTER UPDATE OF abort_requested ON public.procrastinate_jobs FOR EACH ROW WHEN ((new.abort_requested = true)) EXECUTE FUNCTION public.procrastinate_trigger_abort_requested_events_procedure_v1();

-- Name: procrastinate_jobs procrastinate_trigger_delete_jobs_v1; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER procrastinate_trigger_delete_jobs_v1 BEFORE DELETE ON public.procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION public.procrastinate_unlink_periodic_defers_v1();

-- Name: procrastinate_jobs procrastinate_trigger_scheduled_events_v1; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER procrastinate_trigger_scheduled_events_v1 AFTER INSERT OR UPDATE ON public.procrastinate_jobs FOR EACH ROW WHEN (((new.scheduled_at IS NOT NULL) AND (new.status = 'todo'::public.procrastinate_job_status))) EXECUTE FUNCTION public.procrastinate_trigger_function_scheduled_events_v1();

-- Name: procrastinate_jobs procrastinate_trigger_status_events_insert_v1; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER procrastinate_trigger_status_events_insert_v1 AFTER INSERT ON public.procrastinate_jobs FOR EACH ROW WHEN ((new.status = 'todo'::public.procrastinate_job_status)) EXECUTE FUNCTION public.procrastinate_trigger_function_status_events_insert_v1();

-- Name: procrastinate_jobs procrastinate_trigger_status_events_update_v1; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER procrastinate_trigger_status_events_update_v1 AFTER UPDATE OF status ON public.procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION public.procrastinate_trigger_function_status_events_update_v1();

-- Name: promotion promotion_append_only; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER promotion_append_only BEFORE DELETE OR UPDATE ON public.promotion FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

-- Name: reader_study_preference reader_study_preference_append_only; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER reader_study_preference_append_only BEFORE DELETE OR UPDATE ON public.reader_study_preference FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

-- Name: reader_study_rating reader_study_rating_append_only; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER reader_study_rating_append_only BEFORE DELETE OR UPDATE ON public.reader_study_rating FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

-- Name: reading reading_told; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER reading_told AFTER INSERT OR DELETE OR UPDATE ON public.reading FOR EACH STATEMENT EXECUTE FUNCTION public.tell_review();

-- Name: series series_state; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER series_state AFTER INSERT OR UPDATE OF state ON public.series FOR EACH ROW EXECUTE FUNCTION public.guard_state('series_uid');

-- Name: study study_state; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER study_state AFTER INSERT OR UPDATE OF state, urgency, claimed_by ON public.study FOR EACH ROW EXECUTE FUNCTION public.guard_state('study_uid');

-- Name: workitem workitem_state; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER workitem_state AFTER INSERT OR UPDATE OF state, standing_id ON public.workitem FOR EACH ROW EXECUTE FUNCTION public.guard_state('id');

-- Name: workitem workitem_told; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER workitem_told AFTER INSERT OR UPDATE ON public.workitem FOR EACH STATEMENT EXECUTE FUNCTION public.tell_review();

-- Name: agreement agreement_first_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.agreement
    ADD CONSTRAINT agreement_first_id_fkey FOREIGN KEY (first_id) REFERENCES public.annotation(id);

-- Name: agreement agreement_second_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.agreement
    ADD CONSTRAINT agreement_second_id_fkey FOREIGN KEY (second_id) REFERENCES public.annotation(id);

-- Name: agreement agreement_workitem_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.agreement
    ADD CONSTRAINT agreement_workitem_id_fkey FOREIGN KEY (workitem_id) REFERENCES public.workitem(id);

-- Name: analysis analysis_study_uid_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.analysis
    ADD CONSTRAINT analysis_study_uid_fkey FOREIGN KEY (study_uid) REFERENCES public.study(study_uid);

-- Name: annotation annotation_workitem_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.annotation
    ADD CONSTRAINT annotation_workitem_id_fkey FOREIGN KEY (workitem_id) REFERENCES public.workitem(id);

-- Name: comment comment_workitem_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.comment
    ADD CONSTRAINT comment_workitem_id_fkey FOREIGN KEY (workitem_id) REFERENCES public.workitem(id);

-- Name: conformance conformance_workitem_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.conformance
    ADD CONSTRAINT conformance_workitem_id_fkey FOREIGN KEY (workitem_id) REFERENCES public.workitem(id);

-- Name: decision decision_workitem_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.decision
    ADD CONSTRAINT decision_workitem_id_fkey FOREIGN KEY (workitem_id) REFERENCES public.workitem(id);

-- Name: delivery delivery_result_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_result_id_fkey FOREIGN KEY (result_id) REFERENCES public.result(id);

-- Name: finding finding_analysis_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.finding
    ADD CONSTRAINT finding_analysis_id_fkey FOREIGN KEY (analysis_id) REFERENCES public.analysis(id) ON DELETE CASCADE;

-- Name: image_quality image_quality_workitem_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.image_quality
    ADD CONSTRAINT image_quality_workitem_id_fkey FOREIGN KEY (workitem_id) REFERENCES public.workitem(id);

-- Name: instance instance_association_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.instance
    ADD CONSTRAINT instance_association_id_fkey FOREIGN KEY (association_id) REFERENCES public.association(id);

-- Name: instance instance_series_uid_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.instance
    ADD CONSTRAINT instance_series_uid_fkey FOREIGN KEY (series_uid) REFERENCES public.series(series_uid);

-- Name: instance instance_study_uid_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.instance
    ADD CONSTRAINT instance_study_uid_fkey FOREIGN KEY (study_uid) REFERENCES public.study(study_uid);

-- Name: notification notification_analysis_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.notification
    ADD CONSTRAINT notification_analysis_id_fkey FOREIGN KEY (analysis_id) REFERENCES public.analysis(id);

-- Name: notification notification_study_uid_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.notification
    ADD CONSTRAINT notification_study_uid_fkey FOREIGN KEY (study_uid) REFERENCES public.study(study_uid);

-- Name: opinion opinion_analysis_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.opinion
    ADD CONSTRAINT opinion_analysis_id_fkey FOREIGN KEY (analysis_id) REFERENCES public.analysis(id);

-- Name: opinion opinion_study_uid_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.opinion
    ADD CONSTRAINT opinion_study_uid_fkey FOREIGN KEY (study_uid) REFERENCES public.study(study_uid);

-- Name: procrastinate_events procrastinate_events_job_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.procrastinate_events
    ADD CONSTRAINT procrastinate_events_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.procrastinate_jobs(id) ON DELETE CASCADE;

-- Name: procrastinate_jobs procrastinate_jobs_worker_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.procrastinate_jobs
    ADD CONSTRAINT procrastinate_jobs_worker_id_fkey FOREIGN KEY (worker_id) REFERENCES public.procrastinate_workers(id) ON DELETE SET NULL;

-- Name: procrastinate_periodic_defers procrastinate_periodic_defers_job_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.procrastinate_periodic_defers
    ADD CONSTRAINT procrastinate_periodic_defers_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.procrastinate_jobs(id);

-- Name: quarantine quarantine_association_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.quarantine
    ADD CONSTRAINT quarantine_association_id_fkey FOREIGN KEY (association_id) REFERENCES public.association(id);

-- Name: reader_study_image reader_study_image_reader_study_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reader_study_image
    ADD CONSTRAINT reader_study_image_reader_study_id_fkey FOREIGN KEY (reader_study_id) REFERENCES public.reader_study(id);

-- Name: reader_study_image reader_study_image_study_uid_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reader_study_image
    ADD CONSTRAINT reader_study_image_study_uid_fkey FOREIGN KEY (study_uid) REFERENCES public.study(study_uid);

-- Name: reader_study_preference reader_study_preference_other_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reader_study_preference
    ADD CONSTRAINT reader_study_preference_other_id_fkey FOREIGN KEY (other_id) REFERENCES public.reader_study_image(id);

-- Name: reader_study_preference reader_study_preference_reference_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reader_study_preference
    ADD CONSTRAINT reader_study_preference_reference_id_fkey FOREIGN KEY (reference_id) REFERENCES public.reader_study_image(id);

-- Name: reader_study_rating reader_study_rating_image_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reader_study_rating
    ADD CONSTRAINT reader_study_rating_image_id_fkey FOREIGN KEY (image_id) REFERENCES public.reader_study_image(id);

-- Name: reading reading_workitem_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reading
    ADD CONSTRAINT reading_workitem_id_fkey FOREIGN KEY (workitem_id) REFERENCES public.workitem(id);

-- Name: reference_case reference_case_series_uid_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reference_case
    ADD CONSTRAINT reference_case_series_uid_fkey FOREIGN KEY (series_uid) REFERENCES public.series(series_uid);

-- Name: reference_case reference_case_study_uid_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.reference_case
    ADD CONSTRAINT reference_case_study_uid_fkey FOREIGN KEY (study_uid) REFERENCES public.study(study_uid);

-- Name: result result_analysis_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.result
    ADD CONSTRAINT result_analysis_id_fkey FOREIGN KEY (analysis_id) REFERENCES public.analysis(id);

-- Name: result result_study_uid_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.result
    ADD CONSTRAINT result_study_uid_fkey FOREIGN KEY (study_uid) REFERENCES public.study(study_uid);

-- Name: result result_workitem_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.result
    ADD CONSTRAINT result_workitem_id_fkey FOREIGN KEY (workitem_id) REFERENCES public.workitem(id);

-- Name: series series_study_uid_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.series
    ADD CONSTRAINT series_study_uid_fkey FOREIGN KEY (study_uid) REFERENCES public.study(study_uid);

-- Name: shadow_answer shadow_answer_analysis_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.shadow_answer
    ADD CONSTRAINT shadow_answer_analysis_id_fkey FOREIGN KEY (analysis_id) REFERENCES public.analysis(id);

-- Name: workitem workitem_analysis_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.workitem
    ADD CONSTRAINT workitem_analysis_id_fkey FOREIGN KEY (analysis_id) REFERENCES public.analysis(id);

-- Name: workitem workitem_reference_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.workitem
    ADD CONSTRAINT workitem_reference_id_fkey FOREIGN KEY (reference_id) REFERENCES public.reference_case(id);

-- Name: workitem workitem_series_uid_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.workitem
    ADD CONSTRAINT workitem_series_uid_fkey FOREIGN KEY (series_uid) REFERENCES public.series(series_uid);

-- Name: workitem workitem_study_uid_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.workitem
    ADD CONSTRAINT workitem_study_uid_fkey FOREIGN KEY (study_uid) REFERENCES public.study(study_uid);

-- PostgreSQL database dump complete
