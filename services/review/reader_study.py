"""Reader studies as their people take part in them: made, filled with cases, rated blinded, closed.

A reader sees views, each under a name drawn from the study's seed: it says nothing of case or arm, and stays what it
is when cases are added.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.context import Context
from services.errors import Reject
from services.ledger import reader_studies, selecting
from services.ledger.accounts import Account
from services.ledger.database import Connection
from services.ledger.reader_studies import Design, ReaderStudy, StudyImage
from services.review.errors import Conflict, NotFound

QUESTIONS = ("diagnostic quality", "resolution", "noise", "artefacts", "contrast")
POINTS = {Design.SINGLE: tuple(range(1, 8)), Design.PAIRS: tuple(range(-3, 4))}
"""Of an image 1 worst to 7 best, also for noise and artefacts: few of them are good. Of a pair -3, the left one is much
better, to 3, the right one is."""


@dataclass(frozen=True)
class View:
    """What a reader sees at once.

    Attributes:
        token: its name in addresses, another for every reader.
        images: one, or the two of a pair, the left one first.
    """

    token: str
    images: tuple[StudyImage, ...]


@dataclass(frozen=True)
class Turn:
    """What is next for a reader; view None: everything is rated."""

    study: ReaderStudy
    view: View | None
    done: int
    total: int


def views_for(study: ReaderStudy, images: Iterable[StudyImage], account: str) -> list[View]:
    """What one reader rates, in their order: at random, other for everybody, always the same. Pure.

    Of pairs the side of the reference is drawn too.
    """
    shown: list[tuple[StudyImage, ...]]
    if study.design is Design.SINGLE:
        shown = [(image,) for image in images]
    else:
        shown = [_sided(study, account, pair) for pair in _pairs(study, images)]
    views = [View(_draw(study, account, "view", each), each) for each in shown]
    return sorted(views, key=lambda view: view.token)


def make(
    context: Context, by: Account, name: str, arms: Sequence[str], margin: float, design: Design = Design.SINGLE
) -> int:
    """Make a reader study; its identifier.

    Raises:
        Reject: no name, fewer than two arms, or one twice.
        Conflict: the name is taken.
    """
    named = [arm.strip() for arm in arms if arm.strip()]
    if len(named) < 2 or len(set(named)) < len(named):
        raise Reject("Name at least two arms, each once; the reference first.")
    if not name.strip():
        raise Reject("Give the reader study a name.")
    with context.pool.connection() as connection:
        made = reader_studies.create(connection, name.strip(), named, margin, by.name, design)
    if made is None:
        raise Conflict("There is a reader study of this name already.")
    return made


def add_case(context: Context, identifier: int, study_key: str, series_by_arm: Mapping[str, str]) -> str:
    """Add a study as a case, its series as arms; its Study Instance UID. All of it or nothing.

    Raises:
        NotFound: there is no such reader study, study, or series in it.
        Reject: an arm that the reader study does not have, or one series as two arms.
        Conflict: the reader study is closed, or the case has one of these arms already.
    """
    with context.pool.connection() as connection:
        study = read_open(connection, identifier, lock=True)
        study_uid = selecting.find_study(connection, study_key)
        if study_uid is None:
            raise NotFound("There is no such study here.")
        held = {each.key: each.series_uid for each in reader_studies.held_series(connection, study_uid)}
        if len(set(series_by_arm.values())) < len(series_by_arm) or not series_by_arm:
            raise Reject("Name a series of its own for every arm.")
        for arm, key in series_by_arm.items():
            if arm not in study.arms:
                raise Reject(f"This reader study has no arm {arm}. It has {', '.join(study.arms)}.")
            if key not in held:
                raise NotFound("There is no such series here.")
            if not reader_studies.add_image(connection, identifier, study_uid, held[key], arm):
                raise Conflict(f"This case has the arm {arm} already.")
    return study_uid


def turn(connection: Connection, identifier: int, account: str) -> Turn:
    """What a reader rates next.

    Raises:
        NotFound: there is no such reader study.
        Conflict: it is closed.
    """
    study = read_open(connection, identifier)
    views = views_for(study, reader_studies.images(connection, identifier), account)
    rated = _rated(connection, study, account)
    left = [view for view in views if _key(view.images) not in rated]
    return Turn(study, left[0] if left else None, len(views) - len(left), len(views))


def find_view(connection: Connection, identifier: int, account: str, token: str) -> View:
    """A view of one's own.

    Raises:
        NotFound: there is no such reader study, or view of this account.
        Conflict: it is closed.
    """
    study = read_open(connection, identifier)
    for view in views_for(study, reader_studies.images(connection, identifier), account):
        if view.token == token:
            return view
    raise NotFound("There is no such image here.")


def rate(context: Context, account: Account, identifier: int, token: str, scores: Mapping[str, int]) -> str:
    """Keep what a reader gave a view of theirs; its Study Instance UID. A rating is never changed.

    Args:
        scores: by question, of a pair as the sides were shown: above 0 where the right one is better.

    Raises:
        NotFound: there is no such view.
        Reject: a question without an answer, or an answer that the scale does not have.
        Conflict: it is rated already, or the reader study is closed.
    """
    with context.pool.connection() as connection:
        study = read_open(connection, identifier, lock=True)
        view = find_view(connection, identifier, account.name, token)
        points = POINTS[study.design]
        if set(scores) != set(QUESTIONS) or not all(score in points for score in scores.values()):
            raise Reject(f"Answer {', '.join(QUESTIONS)}, each from {points[0]} to {points[-1]}.")
        if study.design is Design.SINGLE:
            kept = reader_studies.rate(connection, view.images[0].id, account.name, scores)
        else:
            left, right = view.images
            is_left = left.arm == study.arms[0]
            kept = reader_studies.prefer(
                connection,
                *((left.id, right.id) if is_left else (right.id, left.id)),
                account.name,
                {question: score if is_left else -score for question, score in scores.items()},
                reference_left=is_left,
            )
    if not kept:
        raise Conflict("You rated this already; a rating is not changed.")
    return view.images[0].study_uid


def close(context: Context, identifier: int) -> None:
    """End the ratings; from then on the results may be looked at.

    Raises:
        NotFound: there is no such reader study.
        Conflict: it is closed already.
    """
    with context.pool.connection() as connection:
        read_open(connection, identifier, lock=True)
        reader_studies.close(connection, identifier)


def read_open(connection: Connection, identifier: int, *, lock: bool = False) -> ReaderStudy:
    """A reader study that takes ratings.

    Raises:
        NotFound: there is none.
        Conflict: it is closed.
    """
    study = _read(connection, identifier, lock=lock)
    if study.closed_at is not None:
        raise Conflict("This reader study is closed.")
    return study


def read_closed(connection: Connection, identifier: int) -> ReaderStudy:
    """A reader study whose results may be looked at.

    Raises:
        NotFound: there is none.
        Conflict: it still takes ratings.
    """
    study = _read(connection, identifier)
    if study.closed_at is None:
        raise Conflict("Results are shown when the reader study is closed.")
    return study


def _read(connection: Connection, identifier: int, *, lock: bool = False) -> ReaderStudy:
    study = reader_studies.read(connection, identifier, lock=lock)
    if study is None:
        raise NotFound("There is no such reader study here.")
    return study


def _rated(connection: Connection, study: ReaderStudy, account: str) -> set[frozenset[int]]:
    if study.design is Design.SINGLE:
        return {
            frozenset({each.image_id})
            for each in reader_studies.ratings(connection, study.id)
            if each.account == account
        }
    return {
        frozenset({each.reference_id, each.other_id})
        for each in reader_studies.preferences(connection, study.id)
        if each.account == account
    }


def _key(images: Iterable[StudyImage]) -> frozenset[int]:
    return frozenset(image.id for image in images)


def _pairs(study: ReaderStudy, images: Iterable[StudyImage]) -> list[tuple[StudyImage, StudyImage]]:
    """Of every case the reference with each other arm."""
    cases: dict[str, dict[str, StudyImage]] = defaultdict(dict)
    for image in images:
        cases[image.study_uid][image.arm] = image
    reference = study.arms[0]
    return [
        (case[reference], case[arm])
        for case in cases.values()
        if reference in case
        for arm in study.arms[1:]
        if arm in case
    ]


def _sided(study: ReaderStudy, account: str, pair: tuple[StudyImage, StudyImage]) -> tuple[StudyImage, StudyImage]:
    reference, other = pair
    return (reference, other) if int(_draw(study, account, "side", pair)[0], 16) % 2 else (other, reference)


def _draw(study: ReaderStudy, account: str, what: str, images: Iterable[StudyImage]) -> str:
    identifiers = " ".join(map(str, sorted(_key(images))))
    return hashlib.sha256(f"{study.seed} {account} {what} {identifiers}".encode()).hexdigest()[:32]
