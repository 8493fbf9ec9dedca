"""The demonstration's end: invented readers accept labels through the real workflow; a small dataset is released."""

import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import yaml
from scipy import ndimage

from services.context import Context
from services.datasets.deidentify.pseudonyms import write_key
from services.datasets.release.export import export
from services.demonstration.display import Display
from services.errors import NightjarError, Reject
from services.ledger import consent, workitems
from services.ledger.accounts import Account, Role, create_account, find_account
from services.ledger.consent import Consent, ConsentEntry
from services.ledger.workitems import State, Workitem
from services.parts import open_context
from services.review import opening, qualification, sources, workflow
from services.review.errors import Conflict
from services.review.masks import Mask
from services.review.tasks import find_task, load_tasks
from services.settings import Settings

TASK: Final = "ich"
MOST_CASES: Final = 3
_NAME: Final = "Demonstration"
_BASIS: Final = "Invented patients of the demonstration."
_EXPERIENCED_SINCE: Final = date(2010, 1, 1)
_PATIENCE_S: Final = 20.0
_POLL_S: Final = 0.5


@dataclass(frozen=True)
class Released:
    """What came out, or why nothing did."""

    report: Path | None = None
    cases: int = 0
    reason: str = ""


def readers_twice(folder: Path) -> Path:
    """A site's own task in a new folder: two readers for every label, so that there is agreement to show."""
    shipped = find_task(load_tasks(), TASK)
    twice = shipped.model_copy(update={"readers": shipped.readers.model_copy(update={"twice": 1.0})})
    folder.mkdir()
    (folder / f"{TASK}.yaml").write_text(
        yaml.safe_dump(twice.model_dump(mode="json"), allow_unicode=True, sort_keys=False), encoding="utf-8"
    )
    return folder


def release(settings: Settings, out: Path, studies: Sequence[str], display: Display) -> Released:
    """Accept up to three labels of the demonstration studies, consent for their invented patients, and release them.

    Args:
        out: the dataset goes to `out/dataset`.
        studies: Study Instance UIDs of the demonstration studies, and of nothing else: nobody accepts for others.
    """
    try:
        with open_context(settings) as context:
            items = _wait_for_items(context, studies)
            if not items:
                return Released(reason="No answer became a workitem.")
            lead, first, second, reviewer = _people(context)
            for number, item in enumerate(items):
                display.step("Demonstration readers accept labels", number, len(items))
                with suppress(Conflict):  # the readings differ too much: it stays in dispute
                    _accept(context, item, (first, second), reviewer)
            with context.pool.connection() as connection:
                entries = [ConsentEntry(Consent.GRANTED, _BASIS, study_uid=item.study_uid) for item in items]
                consent.record(connection, entries, by=lead.name)
            display.step("Releasing a dataset")
            task = find_task(opening.tasks_of(context), TASK)
            target = out / "dataset"
            made = export(context, task, target, _NAME, write_key(settings.data_dir / "deid.key"))
        return Released(target / "quality.html", made.content["cases"])
    except NightjarError as error:
        return Released(reason=str(error))


def _wait_for_items(context: Context, studies: Sequence[str]) -> list[Workitem]:
    """Workitems that the rules made of the studies' answers, as soon as there are enough of them."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        with context.pool.connection() as connection:
            found = [
                item
                for item in workitems.list_workitems(connection, [State.TO_ANNOTATE])
                if item.task == TASK and item.study_uid in studies
            ]
        if len(found) >= MOST_CASES or time.monotonic() > until:
            return sorted(found, key=lambda item: item.id)[:MOST_CASES]
        time.sleep(_POLL_S)


def _people(context: Context) -> tuple[Account, Account, Account, Account]:
    """A lead, two annotators and a reviewer, recorded and admitted as a hospital would."""
    wanted = {
        "demo-lead": Role.ADMINISTRATOR,
        "demo-reader-1": Role.ANNOTATOR,
        "demo-reader-2": Role.ANNOTATOR,
        "demo-reviewer": Role.REVIEWER,
    }
    accounts = []
    with context.pool.connection() as connection:
        for name, role in wanted.items():
            create_account(connection, name, secrets.token_urlsafe(12), [role])
            account = find_account(connection, name)
            assert account is not None
            accounts.append(account)
    lead, first, second, reviewer = accounts
    for person in (first, second, reviewer):
        qualification.record_experience(context, lead, person, _EXPERIENCED_SINCE)
    for person in (first, second):
        qualification.admit(context, lead, person, TASK, passed=True, reason=_BASIS)
    return lead, first, second, reviewer


def _accept(context: Context, item: Workitem, readers: Sequence[Account], reviewer: Account) -> None:
    """Read a workitem as often as its task asks, and accept what stands."""
    for reader in readers[: item.readers]:
        workflow.take(context, reader, item.id)
        workflow.grade(context, reader, item.id, 4)
        with context.pool.connection() as connection:
            start = opening.open_item(context, connection, item.id, reader).start_digest
        if start is None:
            raise Reject("A workitem of the demonstration has no answer to begin from.")
        mask = sources.get_mask(context.store, start)
        drawn = mask if reader is readers[0] else _less(mask)
        workflow.save(context, reader, item.id, drawn, base_digest=start, tool="Demonstration", submit=True)
    workflow.decide(context, reviewer, item.id, State.IN_REVIEW)
    workflow.decide(context, reviewer, item.id, State.ACCEPTED)


def _less(mask: Mask) -> Mask:
    """Drawn a little tighter in the slice that marks most, as a second reader might."""
    fullest = int(np.count_nonzero(mask.labels, axis=(1, 2)).argmax())
    labels = mask.labels.copy()
    labels[fullest][~ndimage.binary_erosion(labels[fullest] > 0)] = 0
    return replace(mask, labels=labels)
