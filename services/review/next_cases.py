"""The studies that experts see next, chosen to learn from, as workitems."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import pydicom

from services.context import Context
from services.datasets.choosing import Candidate, Strategy, choose, disagreement, predictive_entropy
from services.datasets.release.consent import CONSENT_TAG, why_headers_refuse, why_not_released
from services.errors import Reject
from services.ledger import analyses, consent, selecting
from services.ledger.candidates import CandidateFacts, read_candidates
from services.ledger.database import Connection
from services.ledger.workitems import Cause
from services.review.selection import make_for
from services.review.tasks import Task


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        why: a sentence for each chosen study, without patient data.
        workitems: what was made of them, in the same order; None: not made.
        candidates: answers without a workitem; unfit: those of them left out, by reason. Consent is asked only of
            those whose turn it was.
    """

    chosen: tuple[Candidate, ...]
    why: tuple[str, ...]
    workitems: tuple[int | None, ...]
    candidates: int
    unfit: dict[str, int]


def choose_next(
    context: Context, task: Task, strategy: Strategy, count: int, *, seed: int = 0, by: str, make: bool = True
) -> Choice:
    """Choose studies that were analysed and that nobody corrects, and make workitems of them unless told not to.

    None is chosen that a release would hold back: without consent, on a hold, with bytes that are gone.

    Raises:
        Reject: the task corrects no model's answers, there is no such study, or no second version answered.
    """
    if task.model is None:
        raise Reject(f"{task.title} corrects no model's answers; its workitems are made by hand.")
    with context.pool.connection() as connection:
        facts = read_candidates(connection, task.model, task.name, task.grid)
        found = [_candidate(each, task) for each in facts]
        _refuse_without(found, task, strategy)
        unfit = Counter(each.unfit for each in found if each.unfit is not None)
        known = {each.analysis_id: each for each in facts}

        def may(candidate: Candidate) -> bool:
            reason = _why_never_released(context, connection, known[candidate.analysis_id])
            unfit.update([] if reason is None else [reason])
            return reason is None

        chosen = choose(found, strategy, count, seed=seed, may=may)
        why = tuple(_why(each, strategy) for each in chosen)
        cause = Cause.SAMPLE if strategy is Strategy.RANDOM else Cause.UNCERTAINTY
        made: list[int | None] = []
        for each, sentence in zip(chosen, why, strict=True):
            answer = selecting.read_answer(connection, each.analysis_id)
            made.append(
                make_for(context, connection, task, answer, cause, sentence, by)
                if make and answer is not None
                else None
            )
    return Choice(tuple(chosen), why, tuple(made), len(found), dict(sorted(unfit.items())))


def _candidate(facts: CandidateFacts, task: Task) -> Candidate:
    return Candidate(
        analysis_id=facts.analysis_id,
        patient=facts.patient,
        scanner=facts.scanner,
        marks=facts.marks,
        entropy=predictive_entropy(facts.slice_probabilities),
        disagreement=None if facts.overlaps is None else disagreement(facts.overlaps.values()),
        unfit=_unfit(facts, task),
    )


def _unfit(facts: CandidateFacts, task: Task) -> str | None:
    if facts.has_conflict:
        return "Two different images came under one UID."
    if facts.worst_grade is not None and facts.worst_grade < task.quality.least:
        return "A reader graded its images below what the task asks for."
    return None


def _why_never_released(context: Context, connection: Connection, facts: CandidateFacts) -> str | None:
    """What a release would hold the study back for, as far as its consent and bytes go."""
    standing = consent.of_study(connection, facts.study_uid)
    if (refusal := why_not_released(standing)) is not None:
        return refusal
    for series_uid in facts.inputs.values():
        for key in analyses.instance_keys(connection, series_uid):
            try:
                header = pydicom.dcmread(BytesIO(context.store.get(key)), specific_tags=[CONSENT_TAG])
            except KeyError:
                return "The bytes of its images are no longer in the store."
            if (refusal := why_headers_refuse([header], standing)) is not None:
                return refusal
    return None


def _refuse_without(found: Sequence[Candidate], task: Task, strategy: Strategy) -> None:
    if not found:
        raise Reject(f"Every answer of {task.model} has a workitem of this task, or none was given yet.")
    if strategy is Strategy.DISAGREEMENT and all(each.disagreement is None for each in found):
        raise Reject(
            f"No second version of {task.model} answered any of these studies. Put one in shadow: nightjar model "
            f"shadow {task.model} VERSION."
        )


def _why(candidate: Candidate, strategy: Strategy) -> str:
    if strategy is Strategy.ENTROPY:
        return f"Chosen to learn from: predictive entropy {candidate.entropy:.2f} bits."
    if strategy is Strategy.DISAGREEMENT:
        return f"Chosen to learn from: two versions differ by {candidate.disagreement or 0.0:.2f}."
    marks = "that the model marks something in" if candidate.marks else "that the model marks nothing in"
    return f"Chosen to learn from: drawn among the studies {marks}."
