"""Evidence is counted as a reader would count it, and every part of a policy can refuse alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ledger.shadows import Pair
from services.lifecycle.evidence import Evidence, Experts, judge, weigh
from services.settings import PromotionSettings


def pair(
    new: bool = True,
    live: bool = True,
    *,
    dice: float | None = 0.9,
    volumes: tuple[float, float] = (11, 10),
    **other: object,
) -> Pair:
    labels = {"IPH": {"volume_ml": volumes[0], "live_ml": volumes[1], "dice": dice}} if new or live else {}
    found = Pair(
        failure=None, flag=new, live_flag=live, labels=labels, seconds=2.0, live_seconds=2.0,
        segmentation_key="new", live_segmentation_key="live", expert_key=None,
    )  # fmt: skip
    return replace(found, **other)  # type: ignore[arg-type]


FAILED = replace(pair(), failure="No answer.", flag=None, labels={}, seconds=None, segmentation_key=None)


def test_studies_are_counted_by_who_flagged_them() -> None:
    evidence = weigh([pair(), pair(True, False), pair(False, True), pair(False, True), pair(False, False), FAILED])
    assert (evidence.studies, evidence.failures) == (5, 1)
    assert (evidence.both, evidence.new_only, evidence.live_only, evidence.neither) == (1, 1, 2, 1)
    assert evidence.flags_lost == pytest.approx(2 / 3)
    assert evidence.labels["IPH"].studies == 4


def test_volumes_overlap_and_time_are_medians_and_bias_a_mean() -> None:
    pairs = [
        pair(dice=d, volumes=v, seconds=s) for d, v, s in ((0.9, (12, 10), 2), (0.5, (10, 10), 4), (0.8, (4, 10), 3))
    ]
    evidence = weigh(pairs)
    label = evidence.labels["IPH"]
    assert (label.dice, label.difference_ml) == (0.8, 2)
    assert label.bias_ml == pytest.approx(-4 / 3)
    assert evidence.time_ratio == 1.5


def test_experts_are_asked_only_where_they_accepted_a_mask() -> None:
    pairs = [pair(expert_key="a"), pair(expert_key="b"), pair(), replace(FAILED, expert_key="c")]
    scores = {"a": (0.8, 0.6), "b": (0.6, 0.6)}
    evidence = weigh(pairs, lambda found: scores[str(found.expert_key)])
    assert evidence.experts == Experts(2, pytest.approx(0.7), pytest.approx(0.6))
    assert weigh(pairs, lambda found: None).experts is None


GOOD = weigh([pair()] * 100)
POLICY = PromotionSettings()


def test_what_meets_all_is_not_refused() -> None:
    assert judge(GOOD, POLICY) == []


@pytest.mark.parametrize(
    ("evidence", "policy", "says"),
    [
        (weigh([pair()] * 99), POLICY, "99 studies were answered by both versions; 100 are asked for"),
        (weigh([pair(False, False)] * 100), POLICY, "0 studies were flagged by either version; 10"),
        (weigh([pair()] * 97 + [pair(False, True)] * 3), POLICY, "3.0% of the live flags would be lost; at most 2.0%"),
        (weigh([pair()] * 100 + [FAILED] * 2), POLICY, "2 of 102 studies failed; at most 1.0%"),
        (weigh([pair(seconds=4.0)] * 100), POLICY, "takes 2.00 of the live time; at most 1.50"),
        (weigh([pair(dice=0.5)] * 100), POLICY, "IPH: the median overlap with the live version is 0.50"),
        (GOOD, PromotionSettings(experts=5), "masks of 0 of these studies; 5"),
        (replace(GOOD, experts=Experts(20, 0.60, 0.70)), POLICY, "Dice is 0.60, the live version's 0.70"),
    ],
)
def test_each_part_of_a_policy_refuses_alone(evidence: Evidence, policy: PromotionSettings, says: str) -> None:
    [sentence] = judge(evidence, policy)
    assert says in sentence


@given(flags=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30))
def test_no_study_is_counted_twice_or_left_out(flags: list[tuple[bool, bool]]) -> None:
    evidence = weigh([pair(new, live) for new, live in flags])
    assert evidence.both + evidence.live_only + evidence.new_only + evidence.neither == evidence.studies == len(flags)
    assert 0 <= evidence.flags_lost <= 1
