"""The chart as Helm renders it, and what its pods must keep to, each rule a function that names what breaks it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "nightjar"
EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
BIN = Path(sys.executable).parent

Manifest = dict[str, Any]


def helm(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([BIN / "helm", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done


def _template(values: Path | None) -> str:
    files = [] if values is None else ["--values", values]
    return helm("template", "nightjar", CHART, "--namespace", "nightjar", *files).stdout


_template_once = cache(_template)


def _read(text: str) -> list[Manifest]:
    return [entry for entry in yaml.safe_load_all(text) if entry]


def render(values: Path | None = None) -> list[Manifest]:
    """Every manifest of a release called nightjar in a namespace of that name, with an example's values."""
    return _read(_template_once(values))


def render_with(tmp_path: Path, **values: Any) -> list[Manifest]:
    """The same with values of a test's own."""
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return _read(_template(path))


def one(manifests: list[Manifest], kind: str, ending: str = "") -> Manifest:
    [found] = [entry for entry in manifests if entry["kind"] == kind and entry["metadata"]["name"].endswith(ending)]
    return found


def settings_text(manifests: list[Manifest]) -> str:
    [found] = [
        m["data"]["nightjar.yaml"] for m in manifests if m["kind"] == "ConfigMap" and "nightjar.yaml" in m["data"]
    ]
    return str(found)


def serve_config(manifests: list[Manifest]) -> Any:
    return yaml.safe_load(one(manifests, "RayService")["spec"]["serveConfigV2"])


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Name and pod specification of everything that makes pods of its own description."""
    for entry in manifests:
        name = f"{entry['kind']} {entry['metadata']['name']}"
        if entry["kind"] in ("Deployment", "Job", "StatefulSet", "DaemonSet"):
            yield name, entry["spec"]["template"]["spec"]
        elif entry["kind"] == "CronJob":
            yield name, entry["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        elif entry["kind"] == "RayService":
            cluster = entry["spec"]["rayClusterConfig"]
            yield f"{name} head", cluster["headGroupSpec"]["template"]["spec"]
            for group in cluster["workerGroupSpecs"]:
                yield f"{name} {group['groupName']}", group["template"]["spec"]


def broken_rules(manifests: list[Manifest]) -> list[str]:
    """Where a pod asks for more than it needs, or says too little of itself."""
    return [
        f"{name}, {what}"
        for name, pod in pods(manifests)
        for container in (*pod.get("initContainers", []), *pod["containers"])
        for what in (*_pod_breaks(pod), *_container_breaks(container, runs_on=not name.startswith(("Job", "CronJob"))))
    ]


def _pod_breaks(pod: Manifest) -> Iterator[str]:
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
        yield "pod: may run as root"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "pod: no seccomp profile"
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield f"pod: {name}"
    if any("hostPath" in volume for volume in pod.get("volumes", [])):
        yield "pod: a path of the host"
    if pod.get("enableServiceLinks") is not False:
        yield "pod: every service's address in its environment"
    if "automountServiceAccountToken" not in pod:
        yield "pod: a token of the Kubernetes API unasked for"


def _container_breaks(container: Manifest, *, runs_on: bool) -> Iterator[str]:
    name, security = container["name"], container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False or security.get("privileged"):
        yield f"{name}: may gain privileges"
    if security.get("readOnlyRootFilesystem") is not True:
        yield f"{name}: a root file system it can write to"
    if security.get("capabilities", {}).get("drop") != ["ALL"] or security.get("capabilities", {}).get("add"):
        yield f"{name}: capabilities"
    resources = container.get("resources", {})
    for kind, amount in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
        if amount not in resources.get(kind, {}):
            yield f"{name}: no {amount} in {kind}"
    if container["image"].endswith(":latest") or ":" not in container["image"]:
        yield f"{name}: an image without a version"
    for probe in ("livenessProbe", "readinessProbe"):
        if runs_on and probe not in container:
            yield f"{name}: no {probe}"


def strict(schema: Any) -> Any:
    """An OpenAPI schema of a CRD in which what is not described is not allowed, as the API server prunes it."""
    if isinstance(schema, list):
        return [strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items() if key != "format"}
    if closed.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    described = isinstance(closed.get("properties"), dict) and "additionalProperties" not in closed
    if described and not closed.get("x-kubernetes-preserve-unknown-fields") and closed.get("type") == "object":
        closed["additionalProperties"] = False
    return closed


def dashboard() -> Any:
    return json.loads((CHART / "files" / "dashboard.json").read_text(encoding="utf-8"))
