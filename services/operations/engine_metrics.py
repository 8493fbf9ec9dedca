"""Engines that are built for a GPU, for Prometheus: how long each took, and how long one has been built by now."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric

from models.engines.plans import Build, builds

LABELS = ("model", "library", "capability", "precision")


def engine_metrics(folder: Path | None, models: Mapping[str, str]) -> Iterator[Metric]:
    """What lies in `inference.engine_cache`; of weights that are not served, only what is being built.

    Args:
        models: what is served, by the digest of its weights.
    """
    try:
        found = [] if folder is None else builds(folder)
    except OSError:  # the volume is away; the ledger's figures are not
        found = []
    yield _longest(
        "nightjar_engine_build_seconds",
        "What building the engine of a model that is served took, once for this GPU and these weights.",
        models,
        (build for build in found if build.phase is None and build.weights_digest in models),
    )
    yield _longest(
        "nightjar_engine_building_seconds",
        "For how long an engine has been built by now; replicas of its model wait for it.",
        models,
        (build for build in found if build.phase is not None),
    )


def _longest(name: str, says: str, models: Mapping[str, str], found: Iterable[Build]) -> Metric:
    family = GaugeMetricFamily(name, says, labels=LABELS)
    values: dict[tuple[str, ...], float] = {}
    for build in found:  # one with other shapes has the same labels
        model = models.get(build.weights_digest, build.weights_digest[:12])
        key = (model, build.library, build.capability, build.precision)
        values[key] = max(values.get(key, 0.0), build.seconds)
    for labels, seconds in sorted(values.items()):
        family.add_metric(labels, seconds)
    return family
