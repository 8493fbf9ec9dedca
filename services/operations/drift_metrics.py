"""How far images and answers are from what they were when a model was promoted, for Prometheus."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from services.ledger.database import Connection
from services.ledger.served_models import served_models
from services.lifecycle.reference import watch


def drift_metrics(connection: Connection) -> Iterator[Metric]:
    """Gauges of every model that serves; those without a reference have none but the count of its studies, 0."""
    labels = ["model", "version"]
    reference = GaugeMetricFamily(
        "nightjar_drift_reference_studies",
        "Studies that later ones are held against; 0: none is recorded.",
        labels=labels,
    )
    studies = GaugeMetricFamily(
        "nightjar_drift_studies", "Newest studies since, which are held against them.", labels=labels
    )
    index = GaugeMetricFamily(
        "nightjar_drift_index",
        "Population stability index of a figure of images or answers against the reference.",
        labels=[*labels, "figure"],
    )
    limit = GaugeMetricFamily(
        "nightjar_drift_limit", "Above which the index is a drift, by how many studies there are.",
        labels=[*labels, "figure"],
    )  # fmt: skip
    for model in served_models(connection):
        found = watch(connection, model.name, model.version, model.weights_digest)
        who = [model.name, model.version]
        reference.add_metric(who, 0 if found.reference is None else found.reference.studies)
        studies.add_metric(who, found.studies)
        for drift in found.drifts:
            index.add_metric([*who, drift.figure], drift.index)
            limit.add_metric([*who, drift.figure], drift.limit)
    yield from (reference, studies, index, limit)
