"""Models against experts for Prometheus, by model version and scanner, over the labels accepted of late.

A scanner is Manufacturer and ManufacturerModelName, cut short, and only so many of them have series of their own: what
comes over the wire must not fill a database of metrics.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from prometheus_client.core import GaugeMetricFamily, Metric

from services.ledger.database import Connection
from services.ledger.experts import Corrected, group_by, read_corrected

DAYS = 90
MOST_SCANNERS, LONGEST_NAME = 40, 80
OTHERS = "others"
_WHO = ["model", "version", "scanner"]


def expert_metrics(connection: Connection, now: datetime) -> Iterator[Metric]:
    """Gauges over the labels that were accepted in the last DAYS days."""
    yield from families(read_corrected(connection, now - timedelta(days=DAYS)))


def families(corrected: list[Corrected]) -> Iterator[Metric]:
    studies = GaugeMetricFamily(
        "nightjar_experts_studies",
        f"Studies with a label accepted in the last {DAYS} days, by who raised a flag: both, experts alone (missed), "
        "model alone (extra), neither.",
        labels=[*_WHO, "flag"],
    )
    unchanged = GaugeMetricFamily(
        "nightjar_experts_unchanged", "Of these studies, those accepted as the model drew them.", labels=_WHO
    )
    dice = GaugeMetricFamily(
        "nightjar_experts_dice", "Mean Dice of model and experts where either marks the label.", labels=[*_WHO, "label"]
    )
    bias = GaugeMetricFamily(
        "nightjar_experts_volume_bias_ml",
        "Mean of the model's volume less the experts' where either marks the label, mL.",
        labels=[*_WHO, "label"],
    )
    error = GaugeMetricFamily(
        "nightjar_experts_volume_error_ml", "Mean of its absolute value, mL.", labels=[*_WHO, "label"]
    )
    found = group_by(_with_few_scanners(corrected), lambda each: (each.model, each.model_version, each.scanner))
    for who, figures in found.items():
        for flag in ("agreed", "missed", "extra", "neither"):
            studies.add_metric([*who, flag], getattr(figures, flag))
        unchanged.add_metric(who, figures.unchanged)
        for label, each in figures.labels.items():
            if each.dice is not None:
                dice.add_metric([*who, label], each.dice)
            bias.add_metric([*who, label], each.bias_ml)
            error.add_metric([*who, label], each.error_ml)
    yield from (studies, unchanged, dice, bias, error)


def _with_few_scanners(corrected: list[Corrected]) -> list[Corrected]:
    short = [replace(each, scanner=each.scanner[:LONGEST_NAME]) for each in corrected]
    known = {name for name, _ in Counter(each.scanner for each in short).most_common(MOST_SCANNERS)}
    return [each if each.scanner in known else replace(each, scanner=OTHERS) for each in short]
