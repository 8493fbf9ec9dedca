"""Models that a site brought, and models that are asked over HTTP: pods, settings and Serve fit the code they start."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.chart import CHART, Manifest, broken_rules, helm, one, pods, render_with, serve_config, settings_text
from support.window_network import write_model

from models.adding import add_model
from models.registry import load_card, use_shelf
from models.shelf import Shelf, Standing
from services.inference.serve_config import serve_config as serve_config_of
from services.settings import load_settings

MODELS_DIR = "/var/lib/nightjar-models"


def mounts(manifests: list[Manifest], volume: str) -> dict[str, dict[str, Any]]:
    """Where each container that has a volume sees it, by the container's name."""
    return {
        container["name"]: mount
        for _, pod in pods(manifests)
        for container in pod["containers"]
        for mount in container["volumeMounts"]
        if mount["name"] == volume
    }


def tokens(manifests: list[Manifest]) -> set[str]:
    """Containers that are given the token of the gate."""
    return {
        container["name"]
        for _, pod in pods(manifests)
        for container in pod["containers"]
        for variable in container.get("env", [])
        if variable["name"] == "NIGHTJAR_INFERENCE__SERVE_TOKEN"
        and variable["valueFrom"]["secretKeyRef"] == {"name": "nightjar-serve", "key": "token"}
    }


def test_a_sites_own_models_are_seen_by_every_part_and_served_as_nightjar_says(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    add_model(write_model(tmp_path / "one"), shelf)
    add_model(write_model(tmp_path / "two", version="2.0.0", network={"above": 0.7}), shelf)
    shelf.stand("brought", Standing(live="1.0.0", shadow="2.0.0"))
    use_shelf(shelf.folder)
    try:
        live, shadow = load_card("brought"), load_card("brought", "2.0.0")
        own = {
            "enabled": True,
            "served": {"brought": {"version": live.version, "weights": live.weights.sha256}},
            "shadows": {"brought": {"version": shadow.version, "weights": shadow.weights.sha256}},
        }
        manifests = render_with(tmp_path, ownModels=own, inference={"models": ["ich", "brought"]})
        path = tmp_path / "nightjar.yaml"
        path.write_text(settings_text(manifests).replace(MODELS_DIR, str(shelf.folder)), encoding="utf-8")
        rendered = yaml.safe_load(yaml.safe_dump(serve_config(manifests)).replace(MODELS_DIR, str(shelf.folder)))
        assert rendered == serve_config_of(load_settings(path).inference)
    finally:
        use_shelf(None)
    found = mounts(manifests, "models")
    assert set(found) == {"router", "worker", "web", "inference", "metrics", "ray-head", "ray-worker"}
    assert {mount["mountPath"] for mount in found.values()} == {MODELS_DIR}
    assert [name for name, mount in found.items() if not mount["readOnly"]] == ["inference"], "where models are added"
    assert one(manifests, "PersistentVolumeClaim", "-models")["metadata"]["annotations"]
    assert broken_rules(manifests) == []
    theirs = render_with(tmp_path, ownModels={"enabled": True, "existingClaim": "models-of-ours"})
    claims = {volume["persistentVolumeClaim"]["claimName"] for _, pod in pods(theirs) for volume in pod["volumes"]
              if volume["name"] == "models"}  # fmt: skip
    assert claims == {"models-of-ours"}
    assert [e for e in theirs if e["kind"] == "PersistentVolumeClaim" and "models" in e["metadata"]["name"]] == []


def test_models_asked_over_http_have_a_gate_with_a_token_and_who_asks_no_part_in_ray(tmp_path: Path) -> None:
    manifests = render_with(tmp_path, inference={"models": ["ich"], "http": {"enabled": True}})
    path = tmp_path / "nightjar.yaml"
    path.write_text(settings_text(manifests), encoding="utf-8")
    inference = load_settings(path).inference
    service = one(manifests, "Service", "-gate")
    assert inference.serve_url == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}/nightjar"
    assert serve_config(manifests) == serve_config_of(inference)
    assert tokens(manifests) == {"inference", "ray-head", "ray-worker"}
    template = one(manifests, "Deployment", "-inference")["spec"]["template"]
    assert "nightjar/ray" not in template["metadata"]["labels"]
    assert not any("RAY" in variable["name"] for variable in template["spec"]["containers"][0]["env"])
    [rule] = one(manifests, "NetworkPolicy", "-gate")["spec"]["ingress"]
    assert rule["from"][0]["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert broken_rules(manifests) == []


def test_another_releases_models_need_no_ray_here(tmp_path: Path) -> None:
    url = "https://models.example:8443/nightjar"
    way = {"enabled": True, "url": url, "authoritySecret": "authority"}
    manifests = render_with(tmp_path, inference={"http": way})
    asked = yaml.safe_load(settings_text(manifests))["inference"]
    mount = mounts(manifests, "gate-authority")
    assert set(mount) == {"inference"}
    assert asked["serve_url"] == url
    assert asked["serve_authorities"] == f"{mount['inference']['mountPath']}/ca.crt"
    assert [
        entry["kind"] for entry in manifests if entry["kind"] == "RayService" or "gate" in entry["metadata"]["name"]
    ] == []
    assert tokens(manifests) == {"inference"}
    [rule] = one(manifests, "NetworkPolicy", "-inference")["spec"]["egress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 8443}]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"ownModels": {"served": {"lesion": {"version": "1.0.0"}}}}, "weights"),
        ({"ownModels": {"served": {"lesion": {"version": "1.0.0", "weights": "abc"}}}}, "weights"),
        (
            {"ownModels": {"enabled": True, "shadows": {"lesion": {"version": "1", "weights": "0" * 64}}}},
            "lesion is not among the models that are served",
        ),
        ({"inference": {"models": ["lesion"]}}, "there is no model lesion"),
    ],
)
def test_models_that_cannot_be_are_refused_in_words(values: Any, says: str, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    done = helm("template", "nightjar", CHART, "--values", path, check=False)
    assert done.returncode != 0
    assert says in done.stderr
