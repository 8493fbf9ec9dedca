"""Real Ray: a site's own model and the version in its shadow are served side by side, each by its own weights."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.window_network import write_model

from models.adding import add_model
from models.registry import use_shelf
from models.shelf import Shelf, Standing
from models.volume import Volume
from services.inference.planned import plans
from services.settings import InferenceSettings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray's own use of what it imports
    from services.inference.deployment import ModelServer

pytestmark = [
    pytest.mark.timeout(300),
    # As in test_serving.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[InferenceSettings]:
    shelf = Shelf(tmp_path / "shelf")
    add_model(write_model(tmp_path / "one"), shelf)
    add_model(write_model(tmp_path / "two", version="2.0.0", network={"above": 0.7}), shelf)
    shelf.stand("brought", Standing(live="1.0.0", shadow="2.0.0"))
    use_shelf(shelf.folder)
    yield InferenceSettings(models=("brought",), models_dir=shelf.folder, threads=1)
    use_shelf(None)


def test_both_versions_answer_each_by_its_own_weights(settings: InferenceSettings) -> None:
    voxels = np.zeros((12, 40, 40), np.float32)
    voxels[4:8, 10:20, 10:20], voxels[4:8, 20:24, 10:20] = 90, 60
    positions = np.arange(12)[:, None] * np.array([0.0, 0.0, 2.0])
    inputs = {"NCCT": Volume(voxels, positions, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0))}
    plan = plans(settings)["brought"]
    server = ModelServer(settings)
    server.start()
    try:
        live, shadow = server.analyse("brought", inputs), server.ask(plan.application, inputs)
        assert server.healthy()
    finally:
        server.stop()
    assert (live.prediction.model.version, shadow.prediction.model.version) == ("1.0.0", "2.0.0")
    assert shadow.prediction.model.weights_digest == plan.card.weights.sha256
    assert live.prediction.findings[0].volume_ml == pytest.approx(1.12)
    assert shadow.prediction.findings[0].volume_ml == pytest.approx(0.8)
