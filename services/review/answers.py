"""Values of the review as JSON; no patient data but the study's own identifiers."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from services.ledger import annotations, gradings, workitems
from services.ledger.accounts import Account
from services.ledger.annotations import Annotation, Comment
from services.ledger.database import Connection
from services.ledger.workitems import Workitem
from services.review import access
from services.review.course import Progress
from services.review.listing import QueueRow, describe
from services.review.opening import Opened
from services.review.reliability import LabelReliability


def plain(value: Any) -> dict[str, Any]:
    """A dataclass as JSON can hold it."""
    return asdict(value)


def row(each: QueueRow) -> dict[str, Any]:
    return _item(each.item) | {
        "title": each.title,
        "holders": dict(each.holders),
        "dice_ai": dict(each.dice),
        "unchanged": each.unchanged,
        "reason": each.reason,
        "overdue": each.overdue,
        "mine": each.mine,
    }


def workitem(connection: Connection, opened: Opened, account: Account, now: datetime) -> dict[str, Any]:
    item = opened.item
    decided = workitems.decisions(connection, [item.id]).get(item.id, ())
    standing = annotations.read(connection, item.standing_id) if item.standing_id is not None else None
    described = describe(item, account, {opened.task.name: opened.task}, standing, decided, now)
    blinded = access.is_blinded(item, account)
    grades = gradings.image_grades(connection, item.id)
    return row(described) | {
        "slot": opened.slot,
        "why_not_draw": opened.why_not,
        "start_digest": opened.start_digest,
        "latest": annotation(opened.latest) if opened.latest is not None else None,
        "masks": [
            {"name": each.name, "digest": each.mask_digest} | (annotation(each.annotation) if each.annotation else {})
            for each in opened.shown
        ],
        "comments": [comment(each) for each in opened.comments],
        "quality": [plain(each) for each in grades.values() if not blinded or each.account == account.name],
        "conformance": gradings.conformance(connection, item.id),
        "agreement": [plain(each) for each in gradings.agreements(connection, item.id)] if not blinded else [],
        "decisions": [] if blinded else [plain(each) for each in decided],
    }


def annotation(each: Annotation) -> dict[str, Any]:
    return plain(each)


def comment(each: Comment) -> dict[str, Any]:
    return plain(each)


def progress(each: Progress) -> dict[str, Any]:
    return {
        "admission": plain(each.admission) if each.admission is not None else None,
        "training": [_item(item) for item in each.training],
        "test": [_item(item) for item in each.test],
        "why_not_next": each.why_not_next,
    }


def reliability(labels: dict[str, LabelReliability]) -> dict[str, Any]:
    return {name: plain(each) for name, each in labels.items()}


def _item(item: Workitem) -> dict[str, Any]:
    return {
        "id": item.id,
        "study": item.study_key,
        "series": item.series_key,
        "task": item.task,
        "purpose": item.purpose,
        "state": item.state,
        "priority": item.priority,
        "due_at": item.due_at,
        "cause": item.cause,
        "cause_detail": item.cause_detail,
        "readers": item.readers,
        "round": item.round,
    }
