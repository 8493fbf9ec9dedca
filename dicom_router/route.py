"""The route stage: gives every series of a study its role, and every model whose inputs are there its analysis."""

from collections.abc import Sequence

from dicom_router.decide import Decision, decide
from dicom_router.rules import load_rules
from services.context import Context
from services.errors import Retry
from services.ledger import routing, served_models
from services.ledger.database import Connection
from services.ledger.jobs import Stage

# Any state a study can be in to the one it should be in, along the rows of `transition`.
_PATHS: dict[tuple[str, str], tuple[str, ...]] = {
    ("receiving", "analysing"): ("analysing",),
    ("receiving", "analysed"): ("analysing", "analysed"),
    ("receiving", "failed"): ("analysing", "failed"),
    ("receiving", "parked"): ("parked",),
    ("receiving", "not_applicable"): ("not_applicable",),
    ("analysing", "analysed"): ("analysed",),
    ("analysing", "failed"): ("failed",),
    ("analysing", "parked"): ("parked",),
    ("analysing", "receiving"): ("receiving",),
}


def run(context: Context, study_uid: str) -> None:
    """Route one study; runs again whenever one of its series closes.

    Raises:
        Retry: no model is registered yet.
    """
    rules = load_rules(context.settings.router.rules)
    with context.pool.connection() as connection:
        state = routing.lock_study(connection, study_uid)
        if state is None:
            return
        models = served_models.for_study(connection, study_uid)
        if not models:
            raise Retry("No model is registered yet.")
        decision = decide(routing.series_of(connection, study_uid), rules, models)
        for series_uid, found in decision.roles.items():
            score = None if found.role is None else found.score
            routing.write_role(connection, series_uid, found.role, decision.reasons[series_uid], score)
        outcomes = [
            routing.ensure_analysis(
                connection,
                study_uid,
                run.model,
                run.inputs,
                run.reason,
                beside=[other.inputs for other in decision.runs if other.model == run.model and other is not run],
            )
            for run in decision.runs
        ]
        target, reason = _end(decision, outcomes)
        _move(connection, study_uid, state, target, reason)


def _end(decision: Decision, outcomes: Sequence[tuple[str, str | None]]) -> tuple[str, str | None]:
    """The state a study should be in, and the reason to show with it."""
    if outcomes:
        states = {state for state, _ in outcomes}
        if states & {"queued", "running"}:
            return "analysing", None
        if "failed" in states:
            return "failed", next(reason for state, reason in outcomes if state == "failed")
        return "analysed", None
    if decision.waiting:
        return "receiving", decision.waiting[0]
    if decision.parked:
        return "parked", " ".join(decision.parked)
    if decision.not_applicable:
        return "not_applicable", decision.not_applicable
    return "receiving", None


def _move(connection: Connection, study_uid: str, state: str, target: str, reason: str | None) -> None:
    if state == target:
        routing.note_reason(connection, study_uid, reason)
        return
    path = _PATHS.get((state, target))
    if path is None:  # from an end state, or back from analysing: through receiving
        path = ("receiving", *_PATHS.get(("receiving", target), ()))
    routing.move_study(connection, study_uid, path, reason)


def give_up(context: Context, study_uid: str, reason: str) -> None:
    """Park a study that could not be routed."""
    with context.pool.connection() as connection:
        state = routing.lock_study(connection, study_uid)
        if state is not None:
            _move(connection, study_uid, state, "parked", f"Could not be routed: {reason}")


# Models register once their worker is up, which may take minutes on a fresh installation.
STAGE = Stage("route", run, give_up, attempts=10)
