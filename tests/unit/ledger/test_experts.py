"""The arithmetic of models against experts, on studies small enough to count by hand."""

import pytest

from services.ledger.experts import Corrected, LabelPair, group_by
from services.operations.expert_metrics import LONGEST_NAME, MOST_SCANNERS, OTHERS, families


def study(scanner: str = "Maker A", unchanged: bool = False, **pairs: tuple[float, float, float | None]) -> Corrected:
    return Corrected("ich", "1.0", scanner, unchanged, {name: LabelPair(*values) for name, values in pairs.items()})


STUDIES = [
    study(IPH=(10.0, 12.0, 0.8)),
    study(unchanged=True, IPH=(20.0, 20.0, 1.0), SDH=(5.0, 0.0, 0.0)),
    study("Maker B", IPH=(0.0, 4.0, None)),
    study("Maker B", SDH=(3.0, 0.0, 0.0)),
    study("Maker B"),
]


def test_flags_dice_and_volumes_of_a_version() -> None:
    [(group, found)] = group_by(STUDIES, lambda each: (each.model, each.model_version)).items()
    assert group == ("ich", "1.0")
    assert (found.studies, found.unchanged) == (5, 1)
    assert (found.agreed, found.missed, found.extra, found.neither) == (2, 1, 1, 1)
    iph, sdh = found.labels["IPH"], found.labels["SDH"]
    assert (iph.studies, iph.agreed, iph.missed, iph.extra) == (3, 2, 1, 0)
    assert iph.dice == pytest.approx(0.9)
    assert iph.bias_ml == pytest.approx(-2.0)
    assert iph.error_ml == pytest.approx(2.0)
    assert (sdh.studies, sdh.extra, sdh.dice, sdh.bias_ml) == (2, 2, 0.0, 4.0)


def test_a_label_that_no_answer_could_be_compared_on_has_no_dice() -> None:
    found = group_by([study(IPH=(0.0, 4.0, None))], lambda each: (each.scanner,))
    assert found[("Maker A",)].labels["IPH"].dice is None


def test_the_largest_group_comes_first() -> None:
    assert list(group_by(STUDIES, lambda each: (each.scanner,))) == [("Maker B",), ("Maker A",)]


def test_metrics_have_few_scanners_with_short_names() -> None:
    corrected = [study(f"Scanner {number} {'x' * 200}") for number in range(MOST_SCANNERS + 20)]
    scanners = {sample.labels["scanner"] for family in families([*corrected, *STUDIES]) for sample in family.samples}
    assert len(scanners) == MOST_SCANNERS + 1
    assert OTHERS in scanners
    assert {"Maker A", "Maker B"} <= scanners
    assert max(map(len, scanners)) <= LONGEST_NAME
