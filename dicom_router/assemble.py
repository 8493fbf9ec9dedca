"""The assemble stage: closes a series when the evidence, or the fallback timer, says it is whole or will not be."""

from datetime import timedelta

from dicom_router.completeness import Arrived, Association, Complete, Incomplete, Timing, Waiting, assess
from services.context import Context
from services.ledger import routing
from services.ledger.jobs import Stage, defer


def run(context: Context, series_uid: str) -> None:
    """Look at one series; close it and ask for its study to be routed, or leave it open."""
    router = context.settings.router
    with context.pool.connection() as connection:
        study_uid = routing.lock_open_series(connection, series_uid)
        if study_uid is None:
            return
        verdict = assess(
            [
                Arrived(
                    row["sop_class_uid"],
                    None if row["association_id"] is None else str(row["association_id"]),
                    row["received_at"],
                    row["attributes"],
                )
                for row in routing.arrived(connection, series_uid)
            ],
            [Association(str(row["id"]), row["closed_at"]) for row in routing.senders(connection, series_uid)],
            context.now(),
            Timing(router.idle_s, router.fallback_s),
        )
        match verdict:
            case Complete(evidence):
                routing.close_series(connection, series_uid, study_uid, "complete", evidence)
            case Incomplete(missing):
                routing.close_series(connection, series_uid, study_uid, "incomplete", missing)
            case Waiting(reason, until) if until is not None:
                routing.note_waiting(connection, series_uid, reason)
            case Waiting():
                return  # the release of its association, or its silence, brings this stage back


def give_up(context: Context, series_uid: str, reason: str) -> None:
    """Close a series that could not be looked at, so that its study does not wait for ever."""
    with context.pool.connection() as connection:
        study_uid = routing.lock_open_series(connection, series_uid)
        if study_uid is not None:
            routing.close_series(connection, series_uid, study_uid, "incomplete", f"Could not be assembled: {reason}")


def sweep(context: Context) -> int:
    """Ask for every open series whose time has come to be assembled; how many were found."""
    router, now = context.settings.router, context.now()
    with context.pool.connection() as connection:
        due = routing.due_series(
            connection, now - timedelta(seconds=router.idle_s), now - timedelta(seconds=router.fallback_s)
        )
        for series_uid in due:
            defer(connection, "assemble", series_uid)
    return len(due)


STAGE = Stage("assemble", run, give_up)
