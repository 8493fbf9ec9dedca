"""The alarm burden: flags per 100 studies, how many readers dismissed, and what another threshold would have done."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.languages import gettext
from services.ledger.burden import AnswerFacts, read_answers
from services.triage.cards import card_of_version
from services.triage.site import SiteDependency, Viewer, audit

DAYS = (1, 7, 30, 90, 365)

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Burden:
    """Flags among the answers of one group. Counts are of answers: one model, one study."""

    name: str
    answers: int
    flags: int
    dismissed: int
    agreed: int
    reasons: dict[str, int]

    @property
    def per_100(self) -> float:
        return 100 * self.flags / self.answers

    @property
    def dismissed_percent(self) -> float | None:
        return 100 * self.dismissed / self.flags if self.flags else None


@dataclass(frozen=True)
class Replay:
    """The same answers with another threshold for one label, everything else as it was.

    Attributes:
        was, threshold: the operating point's probability, and the one tried.
        answers: of this model version.
        flags_was, flags: answers with a flag then, and with the threshold tried.
        lost_dismissed, lost_agreed, lost_unsaid: flags that would not have been raised, by what readers said of them.
        is_upper_bound: `flags` may be too many: below the operating point the smallest volume was never applied.
    """

    model: str
    model_version: str
    label: str
    was: float
    threshold: float
    answers: int
    flags_was: int
    flags: int
    lost_dismissed: int
    lost_agreed: int
    lost_unsaid: int

    @property
    def is_upper_bound(self) -> bool:
        return self.threshold < self.was


def group_by(answers: Sequence[AnswerFacts], name: Callable[[AnswerFacts], str]) -> list[Burden]:
    """The burden of each group, the largest group first. Pure."""
    groups: dict[str, list[AnswerFacts]] = defaultdict(list)
    for answer in answers:
        groups[name(answer)].append(answer)
    return sorted(
        (_burden(group, members) for group, members in groups.items()), key=lambda each: (-each.answers, each.name)
    )


def replay(
    answers: Sequence[AnswerFacts], model: str, model_version: str, label: str, was: float, threshold: float
) -> Replay:
    """What another threshold for `label` would have raised. Pure."""
    own = [answer for answer in answers if (answer.model, answer.model_version) == (model, model_version)]
    before = [answer for answer in own if answer.flagged]
    after = [answer.flagged - {label} or _raises(answer, label, was, threshold) for answer in own]
    lost = [answer for answer, stays in zip(own, after, strict=True) if answer.flagged and not stays]
    return Replay(
        model=model,
        model_version=model_version,
        label=label,
        was=was,
        threshold=threshold,
        answers=len(own),
        flags_was=len(before),
        flags=sum(map(bool, after)),
        lost_dismissed=sum(answer.dismissed is not None for answer in lost),
        lost_agreed=sum(answer.dismissed is None and answer.agreed for answer in lost),
        lost_unsaid=sum(answer.dismissed is None and not answer.agreed for answer in lost),
    )


def _raises(answer: AnswerFacts, label: str, was: float, threshold: float) -> bool:
    if answer.probabilities.get(label, 0.0) < threshold:
        return False
    # What was not flagged at or above the old threshold was too small, and still would be.
    return label in answer.flagged or answer.probabilities[label] < was


def _burden(name: str, answers: Sequence[AnswerFacts]) -> Burden:
    flags = [answer for answer in answers if answer.flagged]
    return Burden(
        name=name,
        answers=len(answers),
        flags=len(flags),
        dismissed=sum(answer.dismissed is not None for answer in flags),
        agreed=sum(answer.dismissed is None and answer.agreed for answer in flags),
        reasons=dict(Counter(answer.dismissed for answer in flags if answer.dismissed is not None).most_common()),
    )


@router.get("/burden")
def show_burden(
    request: Request,
    site: SiteDependency,
    account: Viewer,
    days: Annotated[int, Query(ge=1, le=365)] = 30,
    label: Annotated[str, Query(max_length=120)] = "",
    threshold: Annotated[float | None, Query(ge=0, le=1)] = None,
) -> Response:
    """Flags by model, scanner and protocol; `label` is "model version label" of the replay."""
    with site.connection() as connection:
        answers = read_answers(connection, site.context.now() - timedelta(days=days))
        audit(connection, request, "burden", account)
    points = {
        f"{model} {version} {each.name}": (model, version, each.name, each.operating_point.probability)
        for model, version in sorted({(answer.model, answer.model_version) for answer in answers})
        if (card := card_of_version(model, version)) is not None
        for each in card.labels
    }
    chosen = label if label in points else next(iter(points), None)
    tables: tuple[tuple[str, str, Callable[[AnswerFacts], str]], ...] = (
        (gettext("Model version"), gettext("By model version"), lambda each: f"{each.model} {each.model_version}"),
        (gettext("Scanner"), gettext("By scanner"), lambda each: each.scanner),
        (gettext("Protocol"), gettext("By protocol"), lambda each: each.protocol),
    )
    tried = None
    if chosen is not None and threshold is not None:
        model, version, name, was = points[chosen]
        tried = replay(answers, model, version, name, was, threshold)
    return site.render(
        request,
        "burden.html",
        days=days,
        choices=DAYS,
        whole=_burden("All", answers) if answers else None,
        tables=[(title, name, group_by(answers, key)) for title, name, key in tables],
        points=points,
        chosen=chosen,
        threshold=threshold,
        replay=tried,
    )
