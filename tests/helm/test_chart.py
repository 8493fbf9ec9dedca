"""The chart by a real Helm: what it renders is valid, safe, and fits the code it starts."""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import kubernetes_validate
import promql_parser
import pytest
import typer
import yaml
from cloudcoil.models.cert_manager.v1 import Certificate
from cloudcoil.models.keda.v1alpha1 import ScaledObject, TriggerAuthentication
from cloudcoil.models.prometheus_operator.v1 import PrometheusRule, ServiceMonitor
from support.chart import (
    BIN,
    CHART,
    EXAMPLES,
    ROOT,
    Manifest,
    broken_rules,
    dashboard,
    helm,
    one,
    pods,
    render,
    render_with,
    serve_config,
    settings_text,
    strict,
)
from support.kuberay import Cluster, RayService
from support.orthanc import run_orthanc

from models.registry import list_models
from services import cli
from services.inference.serve_config import serve_config as serve_config_of
from services.settings import Settings, load_settings
from services.storage_settings import S3Settings

KUBERNETES = ("1.30", "1.37")
CRD = ROOT.parent / "shared" / "data" / "k8s" / "rayservice-crd.yaml"
MODELLED = {
    "Certificate": Certificate,
    "ScaledObject": ScaledObject,
    "TriggerAuthentication": TriggerAuthentication,
    "ServiceMonitor": ServiceMonitor,
    "PrometheusRule": PrometheusRule,
}
DESCRIBED: dict[str, type[RayService] | type[Cluster]] = {"RayService": RayService, "Cluster": Cluster}
"""By what the chart uses of them; no registry has their schemas."""

every_example = pytest.mark.parametrize("values", [None, *EXAMPLES], ids=lambda path: path.stem if path else "default")


def wrong_manifest(entry: Manifest) -> str | None:
    """What the API server would say against a manifest; None: nothing."""
    kind = entry["kind"]
    if kind in DESCRIBED:
        try:
            DESCRIBED[kind].model_validate(entry)
        except ValueError as error:
            return str(error)
        return next(filter(None, map(wrong_manifest, _templates(entry))), None)
    if kind in MODELLED:
        try:
            read = MODELLED[kind].model_validate(entry).model_dump(mode="json", by_alias=True, exclude_unset=True)
        except ValueError as error:
            return str(error)
        lost = _lost(entry, read)
        return f"{kind}: unknown {', '.join(lost)}" if lost else None
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(entry, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            return f"{kind} {entry['metadata']['name']}, Kubernetes {version}: {error.message}"
    return None


def _templates(entry: Manifest) -> list[Manifest]:
    """The pods of a RayService, as manifests of their own."""
    cluster = entry["spec"].get("rayClusterConfig")
    groups = [] if cluster is None else [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", **group["template"]["metadata"]},
         "spec": group["template"]["spec"]}
        for group in groups
    ]  # fmt: skip


def _lost(given: Any, read: Any, path: str = "") -> list[str]:
    """What a model did not know: it drops unknown fields in silence."""
    if isinstance(given, dict) and isinstance(read, dict):
        return [
            lost
            for key, value in given.items()
            for lost in ([f"{path}.{key}"] if key not in read else _lost(value, read[key], f"{path}.{key}"))
        ]
    if isinstance(given, list) and isinstance(read, list):
        return [lost for at, pair in enumerate(zip(given, read, strict=True)) for lost in _lost(*pair, f"{path}[{at}]")]
    return []


@every_example
def test_helm_finds_nothing_to_say(values: Path | None) -> None:
    done = helm("lint", "--strict", "--quiet", CHART, *(["--values", values] if values else []))
    assert done.stdout.strip() == ""


@every_example
def test_every_manifest_is_what_its_api_takes(values: Path | None) -> None:
    manifests = render(values)
    assert [wrong for entry in manifests if (wrong := wrong_manifest(entry))] == []
    names = [(entry["kind"], entry["metadata"]["name"]) for entry in manifests]
    assert len(names) == len(set(names))
    assert all(len(name) <= 63 for _, name in names)


@every_example
def test_every_pod_keeps_the_rules(values: Path | None) -> None:
    manifests = render(values)
    # router, worker, web, inference, metrics, migrate, Ray's head and one group; by the example's own switches, others.
    more = {"single-node-gpu": 1, "department": 4, "region": 2}
    assert len(list(pods(manifests))) == 8 + more.get(values.stem if values else "", 0)
    assert broken_rules(manifests) == []


def _container(manifests: list[Manifest], part: str) -> Manifest:
    found: Manifest = one(manifests, "Deployment", f"-{part}")["spec"]["template"]["spec"]["containers"][0]
    return found


@pytest.mark.parametrize(
    ("plant", "named"),
    [
        (lambda m: _container(m, "router").pop("readinessProbe"), "router: no readinessProbe"),
        (lambda m: _container(m, "web")["resources"]["limits"].pop("memory"), "web: no memory in limits"),
        (lambda m: _container(m, "worker")["securityContext"].update(readOnlyRootFilesystem=False), "worker: a root"),
        (lambda m: _container(m, "worker")["securityContext"]["capabilities"].update(add=["NET_RAW"]), "capabilities"),
        (lambda m: _container(m, "metrics")["securityContext"].update(privileged=True), "may gain privileges"),
        (lambda m: _container(m, "web").update(image="nightjar:latest"), "an image without a version"),
        (lambda m: next(p for n, p in pods(m) if "cpu" in n)["securityContext"].pop("runAsUser"), "may run as root"),
        (lambda m: next(p for n, p in pods(m) if "migrate" in n)["securityContext"].pop("seccompProfile"), "seccomp"),
        (lambda m: next(p for n, p in pods(m) if "head" in n).update(hostNetwork=True), "hostNetwork"),
        (lambda m: next(p for n, p in pods(m) if "web" in n)["volumes"].append({"hostPath": {}}), "path of the host"),
    ],
)
def test_a_planted_breach_is_named(plant: Callable[[list[Manifest]], object], named: str) -> None:
    manifests = copy.deepcopy(render())
    plant(manifests)
    assert any(named in rule for rule in broken_rules(manifests))


@pytest.mark.parametrize(
    ("kind", "plant"),
    [
        ("Deployment", lambda spec: spec.update(replica=2)),
        ("Deployment", lambda spec: spec["template"]["spec"]["containers"][0].update(livenesProbe={})),
        ("Service", lambda spec: spec["ports"][0].update(port="dicom")),
        ("NetworkPolicy", lambda spec: spec.update(policyType=["Ingress"])),
        ("Job", lambda spec: spec.update(backoffLimit="many")),
        ("ScaledObject", lambda spec: spec.update(minReplicas=1)),
        ("ScaledObject", lambda spec: spec["triggers"][0].pop("type")),
        ("ServiceMonitor", lambda spec: spec["endpoints"][0].update(intervall="5s")),
        ("PrometheusRule", lambda spec: spec["groups"][0]["rules"][0].update(expression="up")),
    ],
)
def test_a_planted_mistake_is_refused(kind: str, plant: Callable[[Manifest], object]) -> None:
    manifests = copy.deepcopy(render(CHART / "examples" / "department.yaml"))
    entry = next(entry for entry in manifests if entry["kind"] == kind)
    assert wrong_manifest(entry) is None
    plant(entry["spec"])
    assert wrong_manifest(entry) is not None


def _crd() -> Any:
    """KubeRay's own schema, where somebody laid it beside the project; else nothing more is asked."""
    if not CRD.exists():
        return {}
    versions = yaml.safe_load(CRD.read_text(encoding="utf-8"))["spec"]["versions"]
    [schema] = [version["schema"]["openAPIV3Schema"] for version in versions if version["name"] == "v1"]
    schema["properties"]["metadata"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return strict(schema)


def test_the_ray_service_is_what_kuberay_takes() -> None:
    validator = jsonschema.Draft202012Validator(_crd())
    for values in (None, *EXAMPLES):
        service = one(render(values), "RayService")
        assert wrong_manifest(service) is None
        assert [error.message for error in validator.iter_errors(service)] == []
    planted: list[Callable[[Manifest], object]] = [
        lambda spec: spec.update(serveConfig="x"),
        lambda spec: spec["rayClusterConfig"]["workerGroupSpecs"][0].update(replicas="two"),
        lambda spec: spec["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"][0].update(
            ressources={}
        ),
        lambda spec: spec["rayClusterConfig"]["authOptions"].update(mode="password"),
    ]
    for plant in planted:
        service = copy.deepcopy(one(render(), "RayService"))
        plant(service["spec"])
        assert wrong_manifest(service) is not None


def _cpus(amount: str) -> float:
    return float(amount.removesuffix("m")) / (1000 if amount.endswith("m") else 1)


@every_example
def test_the_pods_hold_the_replicas_that_serve_asks_for(values: Path | None) -> None:
    """As many as there are from the start, and as many as Serve may grow them to."""
    manifests = render(values)
    asked = {"cpu": [0.0, 0.0], "gpu": [0.0, 0.0]}
    shares: list[float] = []
    for application in serve_config(manifests)["applications"]:
        [deployment] = application["deployments"]
        growth = deployment.get("autoscaling_config", {})
        least = growth.get("min_replicas", deployment.get("num_replicas"))
        options = deployment["ray_actor_options"]
        group = "gpu" if "num_gpus" in options else "cpu"
        asked[group][0] += least * options["num_cpus"]
        asked[group][1] += growth.get("max_replicas", least) * options["num_cpus"]
        shares.append(options.get("num_gpus", 0) * least)
    groups = one(manifests, "RayService")["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    for group in groups:
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        least, most = asked[group["groupName"]]
        assert least <= group["replicas"] * _cpus(limits["cpu"])
        assert most <= group["maxReplicas"] * _cpus(limits["cpu"])
        if group["groupName"] == "gpu":
            assert sum(shares) <= group["replicas"] * limits["nvidia.com/gpu"]
    assert {group["groupName"] for group in groups} == {name for name, (least, _) in asked.items() if least}


def test_every_model_that_ships_is_served_unless_a_site_names_some(tmp_path: Path) -> None:
    shipped = sorted(card.name for card in list_models())
    assert [entry["name"] for entry in serve_config(render())["applications"]] == shipped
    few = render_with(tmp_path, inference={"models": ["ich"]})
    assert [entry["name"] for entry in serve_config(few)["applications"]] == ["ich"]


def test_models_on_gpus_have_pods_of_their_own_that_keep_what_was_built(tmp_path: Path) -> None:
    manifests = render_with(
        tmp_path, inference={"models": ["ich", "ais", "enhance"]}, ray={"gpu": {"enabled": True, "models": ["ich"]}}
    )
    options = {e["name"]: e["deployments"][0]["ray_actor_options"] for e in serve_config(manifests)["applications"]}
    assert options == {"ich": {"num_cpus": 2, "num_gpus": 1}, "ais": {"num_cpus": 2}, "enhance": {"num_cpus": 2}}
    gpu = next(pod for name, pod in pods(manifests) if name.endswith(" gpu"))
    [container] = gpu["containers"]
    assert container["image"] == "nightjar-gpu:0.1.0"
    assert {"name": "engines", "mountPath": "/var/cache/nightjar"} in container["volumeMounts"]
    assert one(manifests, "PersistentVolumeClaim", "-engines")
    assert [wrong for entry in manifests if (wrong := wrong_manifest(entry))] == []


def test_dicom_over_tls_is_served_with_certificates_that_renew(tmp_path: Path) -> None:
    manifests = render(CHART / "examples" / "department.yaml")
    certificate = one(manifests, "Certificate")
    pod = one(manifests, "Deployment", "-router")["spec"]["template"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    secrets = {entry["name"]: entry["secret"]["secretName"] for entry in pod["volumes"] if "secret" in entry}
    assert secrets == {"tls": certificate["spec"]["secretName"], "clients": "hospital-ca"}
    tls = yaml.safe_load(settings_text(manifests))["router"]["tls"]
    assert tls["certificate"] == f"{mounts['tls']}/tls.crt"
    assert tls["client_authorities"] == f"{mounts['clients']}/ca.crt"
    ports = {port["name"]: port["port"] for port in one(manifests, "Service", "-router")["spec"]["ports"]}
    assert ports == {"dicom": 104, "dicom-tls": 2762}
    only = render_with(tmp_path, router={"tls": {"enabled": True, "only": True}})
    assert [port["name"] for port in one(only, "Service", "-router")["spec"]["ports"]] == ["dicom-tls"]
    assert yaml.safe_load(settings_text(only))["router"]["tls"]["only"] is True


def test_orthanc_reads_its_configuration_and_takes_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = render(CHART / "examples" / "single-node-gpu.yaml")
    [text] = [entry["data"]["orthanc.json"] for entry in manifests if "orthanc.json" in entry.get("data", {})]
    [destination] = yaml.safe_load(settings_text(manifests))["destinations"]
    assert destination["host"] == one(manifests, "Service", "-orthanc")["metadata"]["name"]
    monkeypatch.setenv("ORTHANC_PASSWORD", "secret of the test")
    with run_orthanc(tmp_path, configuration=json.loads(text)) as orthanc:
        assert httpx.get(f"{orthanc.url}/system", timeout=20).status_code == 401
        known = httpx.get(f"{orthanc.url}/modalities", auth=("nightjar", "secret of the test"), timeout=20)
        assert known.json() == ["nightjar"]
        echo = ["/usr/bin/echoscu", "-aec", destination["ae_title"], "127.0.0.1", str(orthanc.port)]
        assert subprocess.run(echo, check=False, timeout=60).returncode == 0


def test_kuberay_finds_the_pods_and_ports_that_its_services_name() -> None:
    """Its Services select by labels of its own, app.kubernetes.io/name among them, and take ports from the head."""
    cluster = one(render(), "RayService")["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        labels = group["template"]["metadata"]["labels"]
        assert all(label.startswith("nightjar/") for label in labels)
        assert labels["nightjar/release"] == "nightjar"
    [head] = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in head["ports"]}
    assert ports == {"gcs-server": 6379, "dashboard": 8265, "client": 10001, "serve": 8000}


@every_example
def test_every_selector_finds_pods(values: Path | None) -> None:
    manifests = render(values)
    labels = [
        entry["spec"]["template"]["metadata"]["labels"]
        for entry in manifests
        if entry["kind"] in ("Deployment", "StatefulSet", "Job")
    ]
    cluster = one(manifests, "RayService")["spec"]["rayClusterConfig"]
    labels += [g["template"]["metadata"]["labels"] for g in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    for entry in manifests:
        spec = entry.get("spec", {})
        if entry["kind"] == "Service":
            wanted = spec["selector"]
        elif entry["kind"] in ("PodDisruptionBudget", "Deployment", "StatefulSet"):
            wanted = spec["selector"]["matchLabels"]
        elif entry["kind"] == "NetworkPolicy":
            wanted = spec["podSelector"]["matchLabels"]
        else:
            continue
        found = [label for label in labels if wanted.items() <= label.items()]
        assert found, f"{entry['kind']} {entry['metadata']['name']} selects nothing"
        if entry["metadata"]["name"] == "nightjar-default":
            assert len(found) == len(labels), "a pod without a policy may talk to anyone"


def test_postgres_in_the_cluster_commits_on_two_machines() -> None:
    manifests = render(CHART / "examples" / "region.yaml")
    cluster = one(manifests, "Cluster")
    assert cluster["spec"]["postgresql"] == {"synchronous": {"method": "any", "number": 1}}
    for part in ("router", "worker", "web", "inference", "metrics"):
        [url] = [entry for entry in _container(manifests, part)["env"] if entry["name"] == "NIGHTJAR_DATABASE__URL"]
        assert url["valueFrom"]["secretKeyRef"] == {"name": f"{cluster['metadata']['name']}-app", "key": "uri"}
    assert one(manifests, "Job")["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"


@every_example
def test_the_settings_file_is_one_that_nightjar_reads(values: Path | None, tmp_path: Path) -> None:
    manifests = render(values)
    path = tmp_path / "nightjar.yaml"
    path.write_text(settings_text(manifests), encoding="utf-8")
    settings = load_settings(path)
    assert settings.inference.ray_address == f"{one(manifests, 'RayService')['metadata']['name']}-head-svc:6379"
    assert settings.metrics.port == 9100
    expected, rendered = serve_config_of(settings.inference), serve_config(manifests)
    assert rendered == expected, "nightjar model serve-config says otherwise"


@every_example
def test_ray_takes_the_serve_configuration_and_the_code_its_arguments(values: Path | None) -> None:
    program = """
import sys, yaml
from ray.serve.schema import ServeDeploySchema
from services.inference.application import BuildArguments, build
config = ServeDeploySchema.model_validate(yaml.safe_load(sys.stdin))
for application in config.applications:
    assert application.import_path == "services.inference.application:build"
    assert build(BuildArguments.model_validate(application.args))
"""
    content = yaml.safe_dump(serve_config(render(values)))
    done = subprocess.run([sys.executable, "-c", program], input=content, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@every_example
def test_every_command_port_and_variable_exists(values: Path | None) -> None:
    manifests = render(values)
    commands = set(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]
    settings = yaml.safe_load(settings_text(manifests))
    ports = {
        "metrics": settings["metrics"]["port"],
        "dicom": settings["router"]["port"],
        "dicom-tls": settings["router"].get("tls", {}).get("port"),
        "pages": settings["web"]["port"],
    }
    for name, pod in pods(manifests):
        if "RayService" in name or name.endswith(("-orthanc", "-redis")):
            continue
        [container] = pod["containers"]
        command, *options = container["args"]
        assert command in commands
        if command == "reconcile":
            options = options[2:]  # --since 1d
        if command == "backup":
            options = options[1:]  # where to
        assert options in ([], ["--config", "/etc/nightjar/nightjar.yaml"])
        for port in container.get("ports", []):
            assert ports[port["name"]] == port["containerPort"]
        for variable in container["env"]:
            section, _, key = variable["name"].removeprefix("NIGHTJAR_").lower().partition("__")
            if key.startswith("s3__"):
                assert key.removeprefix("s3__") in S3Settings.model_fields
            elif variable["name"].startswith("NIGHTJAR_"):
                assert key in Settings.model_fields[section].annotation.model_fields  # type: ignore[union-attr]


def test_a_router_has_time_to_drain() -> None:
    for values in (None, *EXAMPLES):
        manifests = render(values)
        pod = one(manifests, "Deployment", "-router")["spec"]["template"]["spec"]
        pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        drain_s = yaml.safe_load(settings_text(manifests))["router"]["drain_s"]
        assert pod["terminationGracePeriodSeconds"] >= pause + drain_s + 10


def test_an_upgrade_replaces_the_models_pods_and_a_change_of_size_does_not(tmp_path: Path) -> None:
    first = one(render(), "RayService")["metadata"]["name"]
    grown = render_with(tmp_path, ray={"replicas": 3, "workers": {"replicas": 2, "maxReplicas": 2}})
    upgraded = render_with(tmp_path, inferenceImage={"tag": "0.2.0"})
    assert one(grown, "RayService")["metadata"]["name"] == first
    assert one(upgraded, "RayService")["metadata"]["name"] != first
    assert "upgradeStrategy" not in one(upgraded, "RayService")["spec"], "its pods never change under one name"
    assert len(first) <= 41, "what KubeRay derives from it would be too long"
    for part in ("router", "worker", "web", "inference"):
        assert one(upgraded, "Deployment", f"-{part}")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert one(upgraded, "PodDisruptionBudget", f"nightjar-{part}")["spec"]["maxUnavailable"] == 1


def test_a_site_brings_rules_calibrations_and_passwords(tmp_path: Path) -> None:
    card = next(card for card in list_models() if card.name == "ich")
    calibration = {
        "model": "ich", "version": card.version, "weights_sha256": card.weights.sha256, "use": "high sensitivity",
        "fitted_on": "invented", "labels": {"IPH": {"calibration": {"slope": 1.5, "intercept": -0.25}}},
    }  # fmt: skip
    rules = (ROOT / "dicom_router" / "rules.yaml").read_text(encoding="utf-8")
    manifests = render_with(
        tmp_path,
        rules=rules,
        calibrations={"ich": calibration},
        existingSecret="passwords",
        imagePullSecrets=[{"name": "r"}],
    )
    data = next(entry["data"] for entry in manifests if "nightjar.yaml" in entry.get("data", {}))
    assert yaml.safe_load(data["rules.yaml"]) == yaml.safe_load(rules)
    folder = tmp_path / "etc"
    folder.mkdir()
    for name, text in data.items():
        (folder / name).write_text(text.replace("/etc/nightjar", str(folder)), encoding="utf-8")
    settings = load_settings(folder / "nightjar.yaml")
    assert settings.router.rules == folder / "rules.yaml"
    assert serve_config(manifests) == serve_config_of(settings.inference)
    assert _container(manifests, "worker")["envFrom"] == [{"secretRef": {"name": "passwords"}}]
    assert [wrong for entry in manifests if (wrong := wrong_manifest(entry))] == []


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"rooter": {}}, "rooter"),
        ({"router": {"replicas": 0}}, "minimum"),
        ({"settings": {"institutoin": "x"}}, "institutoin"),
        ({"settings": {"worker": {"concurrency": 0}}}, "minimum"),
        ({"settings": {"destinations": [{"name": "pacs", "ae": "PACS"}]}}, "'ae' not allowed"),
        ({"settings": {"router": {"port": 104}}}, "settings.router.port is written by the chart"),
        ({"settings": {"data_dir": "/x"}}, "data_dir"),
        ({"inference": {"models": ["nose"]}}, "there is no model nose"),
        ({"ray": {"gpu": {"enabled": True, "models": ["nose"]}}}, "nose is not among the models that are served"),
        ({"networkPolicy": {"dicomSources": ["scanner"]}}, "dicomSources"),
        ({"router": {"resources": {"limits": {"memory": "1 GB"}}}}, "memory"),
    ],
)
def test_values_that_cannot_be_are_refused_in_words(values: Any, says: str, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    done = helm("template", "nightjar", CHART, "--values", path, check=False)
    assert done.returncode != 0
    assert says in done.stderr


def test_what_is_generated_is_fresh_and_kustomize_builds_it() -> None:
    program = "from helm import generate as g; import sys; sys.exit([p.name for p, f in ((g.MODELS, g.models), " \
        "(g.SCHEMA, g.schema), (g.RENDERED, g.rendered)) if p.read_text() != f()] or 0)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run `make chart`: {done.stderr}"
    built = subprocess.run(
        [BIN / "kubectl", "kustomize", ROOT / "k8s" / "nightjar"], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    rendered = render(CHART / "examples" / "single-node-cpu.yaml")
    names = {(entry["kind"], entry["metadata"]["name"]) for entry in rendered}
    found = {(e["kind"], e["metadata"]["name"]): e for e in yaml.safe_load_all(built.stdout)}
    assert set(found) == names | {("Namespace", "nightjar")}
    for entry in rendered:
        assert found[entry["kind"], entry["metadata"]["name"]].get("spec") == entry.get("spec")


METRIC = re.compile(r"\b(?:nightjar|process|kube|certmanager)_[a-z_]+")


def known_metrics() -> set[str]:
    """Names that Nightjar serves, as its own code spells them, and those of others the chart may ask for."""
    source = "".join(
        (ROOT / "services" / "operations" / name).read_text(encoding="utf-8")
        for name in ("metrics.py", "engine_metrics.py", "drift_metrics.py", "instruments.py")
    )
    gauges = set(re.findall(r'"(nightjar_[a-z_]+)"', source))
    counters = {f"{name}_total" for name in gauges}
    histogram = {f"nightjar_last_instance_to_answer_seconds_{part}" for part in ("bucket", "count", "sum")}
    return gauges | counters | histogram | {
        "process_resident_memory_bytes", "process_cpu_seconds_total", "kube_pod_container_status_restarts_total",
        "certmanager_certificate_expiration_timestamp_seconds", "nightjar_part",
        "kube_cronjob_status_last_successful_time",
    }  # fmt: skip


def test_with_a_bucket_no_pod_shares_a_volume_and_no_key_stands_in_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    region = CHART / "examples" / "region.yaml"
    manifests = render(region)
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for _, pod in pods(manifests)
        for volume in pod["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert claims == {"nightjar-engines"}
    assert not any(e["kind"] == "PersistentVolumeClaim" and "store" in e["metadata"]["name"] for e in manifests)
    file = tmp_path / "nightjar.yaml"
    file.write_text(settings_text(manifests), encoding="utf-8")
    for name, value in (("STORAGE", "ours"), ("BACKUP", "theirs")):
        monkeypatch.setenv(f"NIGHTJAR_{name}__S3__ACCESS_KEY", value)
        monkeypatch.setenv(f"NIGHTJAR_{name}__S3__SECRET", f"{value}-secret")
    settings = load_settings(file)
    assert settings.storage.s3 is not None
    assert (settings.storage.s3.bucket, settings.storage.s3.access_key) == ("nightjar", "ours")
    assert settings.storage.s3.authorities == Path("/etc/nightjar-store/ca.crt")
    assert (settings.backup.s3.secret, settings.backup.s3.endpoint) == ("theirs-secret", "https://s3.elsewhere.example")
    assert settings.web.session_key_file == Path("/etc/nightjar-session/key")
    files = {
        mount["mountPath"]
        for _, pod in pods([one(manifests, "Deployment", "-web"), one(manifests, "CronJob", "-backup")])
        for mount in pod["containers"][0]["volumeMounts"]
    }
    assert {"/etc/nightjar-store", "/etc/nightjar-session", "/etc/nightjar-backup"} <= files
    environment = {entry["name"] for _, pod in pods([one(manifests, "CronJob", "-backup")])
                   for entry in pod["containers"][0]["env"]}  # fmt: skip
    assert {"NIGHTJAR_STORAGE__S3__SECRET", "NIGHTJAR_BACKUP__S3__SECRET", "NIGHTJAR_DATABASE__URL"} == {
        name for name in environment if not name.endswith("ACCESS_KEY")
    }


def test_every_part_trusts_the_authorities_that_a_site_names(tmp_path: Path) -> None:
    manifests = render_with(tmp_path, authoritySecret="hospital-ca")
    for part in ("router", "worker", "web", "inference"):
        pod = one(manifests, "Deployment", f"nightjar-{part}")["spec"]["template"]
        [container] = pod["spec"]["containers"]
        environment = {entry["name"]: entry.get("value") for entry in container["env"]}
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert environment["SSL_CERT_FILE"] == f"{mounts['authority']}/ca.crt"
        assert volumes["authority"]["secret"] == {"secretName": "hospital-ca"}


def test_the_router_reaches_the_archives_it_follows_and_nothing_else(tmp_path: Path) -> None:
    archives = [{"cidr": "10.20.0.12/32", "port": 8042}]
    policy = one(render_with(tmp_path, networkPolicy={"sources": archives}), "NetworkPolicy", "-router")["spec"]
    to = [{"to": [{"ipBlock": {"cidr": "10.20.0.12/32"}}], "ports": [{"protocol": "TCP", "port": 8042}]}]
    assert (policy["policyTypes"], policy["egress"]) == (["Ingress", "Egress"], to)
    assert one(render(), "NetworkPolicy", "-router")["spec"]["egress"] == []


def alerts(values: str = "department") -> list[Manifest]:
    rules: list[Manifest] = one(render(CHART / "examples" / f"{values}.yaml"), "PrometheusRule")["spec"]["groups"][0][
        "rules"
    ]
    return rules


def test_alerts_are_promql_about_figures_that_are_served() -> None:
    for alert in alerts():
        promql_parser.parse(alert["expr"])
        assert set(METRIC.findall(alert["expr"])) - known_metrics() == set(), alert["alert"]
        assert alert["labels"]["severity"] in ("critical", "warning")
    with pytest.raises(ValueError):
        promql_parser.parse("sum(rate(x[5m])) by >")


def test_every_alert_has_its_section_in_the_runbook_and_no_section_is_of_no_alert() -> None:
    sections = re.findall(
        r"^## (Nightjar\w+)$", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    names = [alert["alert"] for alert in alerts()]
    assert sections == names
    assert [alert["annotations"]["runbook"] for alert in alerts()] == [f"docs/runbook.md#{n.lower()}" for n in names]


def test_the_dashboard_asks_for_figures_that_are_served() -> None:
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    assert len(panels) > 15
    for panel in panels:
        for target in panel["targets"]:
            promql_parser.parse(target["expr"].replace("$__rate_interval", "5m").replace("$namespace", "nightjar"))
            assert set(METRIC.findall(target["expr"])) - known_metrics() == set(), panel["title"]
    [data] = [e["data"] for e in render(CHART / "examples" / "department.yaml") if "nightjar.json" in e.get("data", {})]
    assert json.loads(data["nightjar.json"]) == dashboard()
