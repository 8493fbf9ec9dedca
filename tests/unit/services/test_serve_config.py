"""What a Ray cluster is told to serve: the cards' models, and no growth unless asked for."""

import pytest
from pydantic import ValidationError

from models.registry import load_card
from services.inference.serve_config import serve_config
from services.settings import InferenceSettings


def test_an_application_a_model_from_its_card() -> None:
    card = load_card("ich")
    [application] = serve_config(InferenceSettings(models=("ich",), threads=3, replicas=2))["applications"]
    assert application["name"] == "ich"
    assert application["args"] == {
        "model": "ich", "version": card.version, "weights": card.weights.sha256, "threads": 3, "engine": "auto",
        "timeout_s": 120.0,
    }  # fmt: skip
    [deployment] = application["deployments"]
    assert deployment["num_replicas"] == 2
    assert "autoscaling_config" not in deployment
    assert deployment["ray_actor_options"] == {"num_cpus": 3}


def test_models_with_a_share_of_a_gpu_run_on_it_and_the_others_on_cpus() -> None:
    settings = InferenceSettings(models=("ich", "enhance"), threads=2, gpus={"ich": 0.5})
    found = {entry["name"]: entry for entry in serve_config(settings)["applications"]}
    assert found["ich"]["deployments"][0]["ray_actor_options"] == {"num_cpus": 2, "num_gpus": 0.5}
    assert found["enhance"]["deployments"][0]["ray_actor_options"] == {"num_cpus": 2}
    assert [found[name]["args"]["engine"] for name in ("ich", "enhance")] == ["gpu", "auto"]
    with pytest.raises(ValidationError, match="not served: enhance"):
        InferenceSettings.model_validate({"models": ["ich"], "gpus": {"enhance": 1}})


def test_growth_is_between_replicas_and_maximum_replicas() -> None:
    settings = InferenceSettings(models=("ich",), ray_address="ray:6379", replicas=2, maximum_replicas=6)
    [application] = serve_config(settings)["applications"]
    [deployment] = application["deployments"]
    assert "num_replicas" not in deployment
    assert deployment["autoscaling_config"]["min_replicas"] == 2
    assert deployment["autoscaling_config"]["max_replicas"] == 6


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"maximum_replicas": 3}, "set ray_address or serve_url too"),
        ({"maximum_replicas": 1, "replicas": 2, "ray_address": "ray:6379"}, "below replicas"),
    ],
)
def test_growth_that_cannot_be_is_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        InferenceSettings.model_validate(given)
