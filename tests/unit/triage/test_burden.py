"""The alarm burden's arithmetic, on answers small enough to count by hand."""

import pytest

from services.ledger.burden import AnswerFacts
from services.triage.burden import group_by, replay


def answer(
    number: int,
    flagged: str = "",
    *,
    dismissed: str | None = None,
    agreed: bool = False,
    scanner: str = "A",
    **probabilities: float,
) -> AnswerFacts:
    return AnswerFacts(
        study_uid=f"1.2.{number}",
        model="ich",
        model_version="1",
        scanner=scanner,
        protocol="Head",
        probabilities=probabilities,
        flagged=frozenset(flagged.split()),
        dismissed=dismissed,
        agreed=agreed,
    )


ANSWERS = (
    answer(1, "SDH", SDH=0.9, agreed=True),
    answer(2, "SDH", SDH=0.6, dismissed="Artefact"),
    answer(3, "SDH", SDH=0.55, dismissed="False positive", agreed=True),
    answer(4, "SDH IPH", SDH=0.6, IPH=0.8),
    answer(5, SDH=0.7),  # above the operating point, and too small
    answer(6, SDH=0.4, scanner="B"),
    answer(7, SDH=0.1, scanner="B"),
    answer(8, "SDH", SDH=0.65, scanner="B"),
)


def test_flags_are_counted_by_group() -> None:
    first, second = group_by(ANSWERS, lambda each: each.scanner)
    assert (first.name, first.answers, first.flags, first.dismissed, first.agreed) == ("A", 5, 4, 2, 1)
    assert (first.per_100, first.dismissed_percent) == (80.0, 50.0)
    assert first.reasons == {"Artefact": 1, "False positive": 1}
    assert (second.name, second.flags, second.dismissed_percent) == ("B", 1, 0.0)
    [none] = group_by(ANSWERS[4:5], lambda each: each.model)
    assert (none.flags, none.dismissed_percent) == (0, None)


@pytest.mark.parametrize(
    ("threshold", "flags", "lost"),
    [
        (0.5, 5, (0, 0, 0)),
        (0.62, 3, (2, 0, 0)),  # the fourth stays for its IPH
        (0.7, 2, (2, 0, 1)),  # the fifth stays too small
        (0.95, 1, (2, 1, 1)),
        (0.3, 6, (0, 0, 0)),
        (0.0, 7, (0, 0, 0)),
    ],
)
def test_a_threshold_is_replayed_from_stored_scores(threshold: float, flags: int, lost: tuple[int, int, int]) -> None:
    told = replay(ANSWERS, "ich", "1", "SDH", 0.5, threshold)
    assert (told.answers, told.flags_was, told.flags) == (8, 5, flags)
    assert (told.lost_dismissed, told.lost_agreed, told.lost_unsaid) == lost
    assert told.is_upper_bound == (threshold < 0.5)


def test_other_versions_are_left_out() -> None:
    assert replay(ANSWERS, "ich", "2", "SDH", 0.5, 0.7).answers == 0
