"""Models against experts on a real ledger: what was accepted counts, by version and scanner, and names nobody."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from pydicom.dataset import Dataset
from support.images import analyse, receive
from support.scanned import SHAPE, scanned_ct
from support.triage import add_account

from models.prediction import Finding, Urgency
from services.context import Context
from services.datasets.choosing import Strategy
from services.datasets.release.consent import MISSING, ON_HOLD, WITHDRAWN
from services.errors import Reject
from services.ledger import consent, courses, workitems
from services.ledger.accounts import Role, find_account
from services.ledger.analyses import instance_keys
from services.ledger.consent import Consent, ConsentEntry
from services.ledger.experts import Corrected, read_corrected
from services.ledger.workitems import State
from services.operations.metrics import LedgerCollector
from services.review import workflow
from services.review.masks import Mask
from services.review.next_cases import choose_next
from services.review.opening import open_item
from services.review.sources import read_grid
from services.review.tasks import find_task, load_tasks

TASK = find_task(load_tasks(), "ich")


def observe(
    context: Context,
    number: int,
    *,
    marked: bool = True,
    scanner: str = "Kranich 5",
    patient: str | None = None,
    decision: Consent | None = Consent.GRANTED,
    flag: str | None = None,
) -> int:
    """A head CT with an answer that marks IPH in three slices, or nothing; its analysis.

    Args:
        decision: of the study, as the trial office records it; flag: what its last image says of consent.
    """
    datasets = scanned_ct(number, scanner, patient=patient)
    if flag is not None:
        said = Dataset()
        said.ConsentForDistributionFlag = flag
        datasets[-1].ConsentForClinicalTrialUseSequence = [said]
    study_uid, series_uid = receive(context, datasets)
    if decision is not None:
        with context.pool.connection() as connection:
            consent.record(connection, [ConsentEntry(decision, "form 7", study_uid=study_uid)], by="trial office")
    labels = np.zeros(SHAPE, np.uint8)
    if marked:
        labels[1:4, 8:16, 8:16] = 1
    found = [Finding("IPH", 0.9, 14.2, Urgency.IMMEDIATE, 2)] if marked else []
    return analyse(context, study_uid, series_uid, labels, found)


def accept(context: Context, item_id: int, slices: slice) -> None:
    """Ana draws IPH in these slices, cy accepts."""
    with context.pool.connection() as connection:
        ana, cy = find_account(connection, "ana"), find_account(connection, "cy")
        item = workitems.read(connection, item_id)
        connection.execute("UPDATE workitem SET readers = 1 WHERE id = %s", [item_id])
    assert ana is not None
    assert cy is not None
    assert item is not None
    labels = np.zeros(SHAPE, np.uint8)
    labels[slices, 8:16, 8:16] = 1
    workflow.take(context, ana, item_id)
    workflow.grade(context, ana, item_id, 4)
    mask = Mask(labels, read_grid(context, item.series_uid))
    with context.pool.connection() as connection:
        open_item(context, connection, item_id, ana)
    workflow.save(context, ana, item_id, mask, base_digest=None, tool="Nightjar editor", submit=True)
    for target in (State.IN_REVIEW, State.ACCEPTED):
        workflow.decide(context, cy, item_id, target)


@pytest.fixture(autouse=True)
def people(context: Context) -> None:
    add_account(context, "ana", Role.ANNOTATOR)
    add_account(context, "cy", Role.REVIEWER)
    with context.pool.connection() as connection:
        for name in ("ana", "cy"):
            courses.record_experience(connection, name, datetime(2004, 3, 1, tzinfo=UTC).date())
        courses.admit(connection, "ana", "ich", passed=True, decided_by="cy", reason="Known to us.")


def make(context: Context, strategy: Strategy, count: int) -> list[int]:
    return [item for item in choose_next(context, TASK, strategy, count, by="cy").workitems if item is not None]


def corrected(context: Context) -> list[Corrected]:
    with context.pool.connection() as connection:
        return read_corrected(connection, context.now() - timedelta(days=1))


def test_accepted_corrections_are_held_against_the_answers(context: Context) -> None:
    observe(context, 1)
    [first] = make(context, Strategy.RANDOM, 5)
    accept(context, first, slice(1, 3))
    observe(context, 2, marked=False, scanner="Kranich 7")
    [second] = make(context, Strategy.RANDOM, 5)
    assert corrected(context)[0].labels["IPH"].dice == pytest.approx(0.8)
    accept(context, second, slice(1, 2))
    one, other = corrected(context)
    assert (one.model, one.scanner, one.is_flagged, one.is_marked) == ("ich", "Nordwind Kranich 5", True, True)
    assert one.labels["IPH"].model_ml == 14.2
    assert (other.scanner, other.is_flagged, other.is_marked) == ("Nordwind Kranich 7", False, True)

    registry = CollectorRegistry()
    registry.register(LedgerCollector(context, []))
    text = generate_latest(registry).decode()
    who = 'model="ich",scanner="Nordwind Kranich 5",version="0.1.0"'
    assert f'nightjar_experts_studies{{flag="agreed",{who}}} 1.0' in text
    assert f'nightjar_experts_dice{{label="IPH",{who}}} 0.8' in text
    assert (
        'nightjar_experts_studies{flag="missed",model="ich",scanner="Nordwind Kranich 7",version="0.1.0"} 1.0' in text
    )
    assert "KANARIENVOGEL" not in text

    with context.pool.connection() as connection:
        connection.execute("UPDATE workitem SET state = 'in_review' WHERE id = %s", [first])
    assert [each.scanner for each in corrected(context)] == ["Nordwind Kranich 7"]


def test_chosen_studies_become_workitems_once_and_say_why(context: Context) -> None:
    analyses = [
        observe(context, number, marked=number != 2, patient=f"Patient {number // 2}") for number in range(2, 6)
    ]
    with context.pool.connection() as connection:
        connection.execute(
            "UPDATE analysis SET slice_probabilities = '{\"IPH\": [0.5, 0.5, 0.5, 0.5, 0.5, 0.5]}' WHERE id = %s",
            [analyses[3]],
        )
    dry = choose_next(context, TASK, Strategy.ENTROPY, 1, by="cy", make=False)
    assert dry.workitems == (None,)
    assert dry.candidates == 4
    [item_id] = make(context, Strategy.ENTROPY, 1)
    with context.pool.connection() as connection:
        item = workitems.read(connection, item_id)
    assert item is not None
    assert item.analysis_id == analyses[3]
    assert item.created_by == "cy"
    assert item.cause_detail == "Chosen to learn from: predictive entropy 1.00 bits."
    # One study a patient: 2 and 3 are one patient's, 4 is the other study of the patient of 5.
    assert len(make(context, Strategy.RANDOM, 5)) == 2
    assert len(make(context, Strategy.RANDOM, 5)) == 1
    with pytest.raises(Reject, match="Every answer of ich has a workitem"):
        choose_next(context, TASK, Strategy.RANDOM, 5, by="cy")


def test_nobody_without_consent_or_on_hold_is_ever_chosen(context: Context) -> None:
    kept = observe(context, 1)
    observe(context, 2, decision=None)
    observe(context, 3, decision=Consent.WITHDRAWN)
    observe(context, 4, decision=Consent.HOLD)
    observe(context, 5, flag="NO")
    observe(context, 6, decision=None, flag="YES")  # one image of several says so
    gone = observe(context, 7)
    with context.pool.connection() as connection:
        row = connection.execute("SELECT inputs ->> 'NCCT' AS uid FROM analysis WHERE id = %s", [gone]).fetchone()
        assert row is not None
        assert context.store.discard(instance_keys(connection, row["uid"])[0], context.now() + timedelta(days=1))
    for strategy in (Strategy.RANDOM, Strategy.ENTROPY):
        for seed in range(4):
            choice = choose_next(context, TASK, strategy, 7, seed=seed, by="cy", make=False)
            assert [each.analysis_id for each in choice.chosen] == [kept]
    assert choice.unfit == {
        MISSING: 2,
        WITHDRAWN: 1,
        ON_HOLD: 1,
        "Its headers say NO of consent to distribution.": 1,
        "The bytes of its images are no longer in the store.": 1,
    }


def test_versions_that_differ_come_first_and_poor_images_never(context: Context) -> None:
    first, second, third = (observe(context, number) for number in (1, 2, 3))
    with pytest.raises(Reject, match="nightjar model shadow ich VERSION"):
        choose_next(context, TASK, Strategy.DISAGREEMENT, 5, by="cy")
    with context.pool.connection() as connection:
        for analysis, dice in ((first, 0.9), (second, 0.2)):
            connection.execute(
                """INSERT INTO shadow_answer (analysis_id, model, version, weights_digest, live_version,
                       live_weights_digest, flag, live_flag, labels, segmentation_key)
                   VALUES (%s, 'ich', '2.0', 'w', '0.1.0', 'w', true, true, %s, 'k')""",
                [analysis, f'{{"IPH": {{"volume_ml": 1, "live_ml": 1, "dice": {dice}}}}}'],
            )
        connection.execute(
            "UPDATE instance SET conflict = true WHERE id = (SELECT max(id) FROM instance WHERE series_uid ="
            " (SELECT inputs ->> 'NCCT' FROM analysis WHERE id = %s))",
            [third],
        )
    choice = choose_next(context, TASK, Strategy.DISAGREEMENT, 5, by="cy")
    assert [each.analysis_id for each in choice.chosen] == [second, first]
    assert choice.why[0] == "Chosen to learn from: two versions differ by 0.80."
    assert choice.unfit == {"Two different images came under one UID.": 1}
