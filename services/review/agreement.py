"""How well two readers agree on one image, label by label, and whether that is within a task's limits. Pure."""

from collections.abc import Sequence

from services.datasets.evaluation.overlap import measure_overlap
from services.ledger.gradings import LabelAgreement
from services.review.masks import Mask
from services.review.tasks import AgreementLimits, TaskLabel


def compare(
    first: Mask, second: Mask, labels: Sequence[TaskLabel], limits: AgreementLimits
) -> tuple[LabelAgreement, ...]:
    """Every label that at least one of two masks on one grid has."""
    volume = first.grid.volume
    found = []
    for label in labels:
        one, other = first.labels == label.value, second.labels == label.value
        overlap = measure_overlap(one, other, volume)
        if overlap is None:
            continue
        first_ml, second_ml = volume.measure_ml(one), volume.measure_ml(other)
        measured = {"dice": overlap.dice, "nsd": overlap.nsd, "lesion_f1": overlap.lesion_f1}
        found.append(
            LabelAgreement(
                label=label.name,
                first_ml=first_ml,
                second_ml=second_ml,
                hd95_mm=overlap.hd95_mm,
                outside=_outside(measured, first_ml, second_ml, limits),
                **measured,
            )
        )
    return tuple(found)


def why_disputed(agreements: Sequence[LabelAgreement], limits: AgreementLimits) -> str | None:
    """What is beyond the limits, as a sentence; None when everything is within them."""
    said = [
        f"{each.label}: {', '.join(_words(measure, each, limits) for measure in each.outside)}"
        for each in agreements
        if each.outside
    ]
    return f"The readers differ. {'; '.join(said)}." if said else None


def _outside(measured: dict[str, float], first_ml: float, second_ml: float, limits: AgreementLimits) -> tuple[str, ...]:
    if max(first_ml, second_ml) <= limits.smallest_ml:
        return ()
    outside = [
        name for name, value in measured.items() if (limit := getattr(limits, name)) is not None and value < limit
    ]
    difference = abs(first_ml - second_ml)
    share = difference / ((first_ml + second_ml) / 2)
    if (
        limits.volume_difference_ml is not None
        and difference > limits.volume_difference_ml
        and share > limits.volume_difference_share
    ):
        outside.append("volume_difference_ml")
    return tuple(outside)


def _words(measure: str, agreement: LabelAgreement, limits: AgreementLimits) -> str:
    if measure == "volume_difference_ml":
        return f"{agreement.first_ml:.1f} / {agreement.second_ml:.1f} mL"
    name = {"dice": "Dice", "nsd": "NSD", "lesion_f1": "F1"}[measure]
    return f"{name} {getattr(agreement, measure):.2f} < {getattr(limits, measure):g}"
