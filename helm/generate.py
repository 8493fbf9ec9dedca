"""Files of the chart that follow from the code: `make chart` writes them, a test fails when they are stale.

- `nightjar/files/models.yaml`: name, version and weights of every model, from the cards.
- `nightjar/values.schema.json`: what values.yaml may say; `settings` is Nightjar's own schema of settings.
- `../k8s/nightjar/rendered.yaml`: the chart rendered with its example of one machine, for those without Helm.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import yaml

from models.calibration import ModelCalibration
from models.registry import list_models
from services.archive_settings import ResultKind
from services.inference.serve_config import model_arguments
from services.settings import InferenceSettings, Settings

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "helm" / "nightjar"
MODELS, SCHEMA = CHART / "files" / "models.yaml", CHART / "values.schema.json"
RENDERED = ROOT / "k8s" / "nightjar" / "rendered.yaml"
WRITTEN_BY_THE_CHART = {"backup", "data_dir", "database", "storage", "retention", "inference", "metrics"}

Json = dict[str, Any]


def models() -> str:
    """files/models.yaml."""
    content = {card.name: model_arguments(card.name) for card in list_models()}
    return "# Written by `make chart` from the models' cards.\n" + yaml.safe_dump(content, sort_keys=True)


def rendered() -> str:
    """The chart as `kubectl apply -k k8s/nightjar` gives it."""
    return template(CHART / "examples" / "single-node-cpu.yaml")


def template(values: Path, *arguments: str) -> str:
    """`helm template` of the chart with one values file.

    Raises:
        CalledProcessError: Helm refused; its words are in stderr.
    """
    helm = Path(sys.executable).with_name("helm")
    command = [helm, "template", "nightjar", CHART, "--namespace", "nightjar", "--values", values, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def schema() -> str:
    """values.schema.json."""
    content = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart nightjar",
        **_object(_properties(), additional=False),
    }
    content["properties"]["global"] = {"type": "object"}  # Helm adds it to every chart's values
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _properties() -> Json:
    text, number, flag = {"type": "string"}, {"type": "integer", "minimum": 1}, {"type": "boolean"}
    name = {"type": "string", "minLength": 1}
    words = {"type": "object", "additionalProperties": {"type": "string"}}
    free = {"type": "object"}
    cidr = {"type": "string", "pattern": r"^[0-9a-fA-F.:]+/[0-9]{1,3}$"}
    port = {"type": "integer", "minimum": 1, "maximum": 65535}
    peers = {"type": "array", "items": _object({"cidr": cidr, "port": port}, required=["cidr", "port"])}
    quantity = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(m|Ki|Mi|Gi|Ti)?$"}
    whole = {"type": ["integer", "string"], "pattern": "^[0-9]+$"}
    amounts = _object({"cpu": quantity, "memory": quantity, "ephemeral-storage": quantity, "nvidia.com/gpu": whole})
    resources = _object({"requests": amounts, "limits": amounts}, required=["requests", "limits"])
    image = _object({"repository": name, "tag": text, "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]}})
    settings = Settings.model_json_schema()
    inference = InferenceSettings.model_json_schema()["properties"]
    definitions = settings.pop("$defs")
    site = _inline({**settings, "properties": _site_settings(settings["properties"])}, definitions)
    calibration = ModelCalibration.model_json_schema()
    parts = {"replicas": number, "resources": resources}
    tolerations = {"type": "array", "items": free}
    group = _object({**parts, "maxReplicas": number, "nodeSelector": words, "tolerations": tolerations})
    access = {"enum": ["ReadWriteMany", "ReadWriteOnce"]}
    names = {"type": "array", "items": name}
    digest = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    bucket = {"endpoint": text, "region": name, "pathStyle": flag, "credentialsSecret": text, "authoritySecret": text}
    bucket["timeoutSeconds"] = number
    identity = _object({"version": name, "weights": digest}, required=["version", "weights"])
    by_name = {"type": "object", "additionalProperties": identity}

    def autoscaling(**targets: Json) -> Json:
        return _object({"enabled": flag, "minReplicas": number, "maxReplicas": number, **targets})

    return {
        "image": image,
        "inferenceImage": image,
        "imagePullSecrets": {"type": "array", "items": _object({"name": name})},
        "settings": site,
        "existingSecret": text,
        "authoritySecret": text,
        "rules": text,
        "calibrations": {
            "type": "object",
            "additionalProperties": _inline(calibration, calibration.pop("$defs", {})),
        },
        "database": _object(
            {
                "existingSecret": name,
                "key": name,
                "cloudnativepg": _object(
                    {"enabled": flag, "instances": number, "size": quantity, "storageClass": text}
                ),
            }
        ),
        "storage": _object(
            {
                "existingClaim": text,
                "size": quantity,
                "storageClass": text,
                "accessMode": access,
                "s3": _object({**bucket, "enabled": flag, "bucket": text, "prefix": text, "sessionSecret": name}),
            }
        ),
        "ownModels": _object(
            {
                "enabled": flag,
                "existingClaim": text,
                "size": quantity,
                "storageClass": text,
                "accessMode": access,
                "served": by_name,
                "shadows": by_name,
            }
        ),
        "router": _object(
            {
                **parts,
                "drainSeconds": number,
                "tls": _object(
                    {
                        "enabled": flag,
                        "only": flag,
                        "port": port,
                        "secretName": name,
                        "clusterIssuer": text,
                        "names": names,
                        "clientAuthority": text,
                    }
                ),
                "service": _object(
                    {
                        "type": {"enum": ["LoadBalancer", "NodePort", "ClusterIP"]},
                        "port": port,
                        "annotations": words,
                        "loadBalancerIP": text,
                    }
                ),
            }
        ),
        "worker": _object({**parts, "autoscaling": autoscaling(jobsPerReplica=number)}),
        "web": _object(
            {
                **parts,
                "ingress": _object(
                    {
                        "enabled": flag,
                        "className": text,
                        "host": name,
                        "annotations": words,
                        "tls": _object({"secretName": name, "clusterIssuer": text}),
                    }
                ),
            }
        ),
        "inference": _object(
            {
                **parts,
                "models": names,
                "engine": _choice(inference["engine"]),
                "timeoutSeconds": number,
                "http": _object({"enabled": flag, "url": text, "tokenSecret": name, "authoritySecret": text}),
                "autoscaling": autoscaling(analysesPerReplica=number, urgentSeconds=number),
            }
        ),
        "ray": _object(
            {
                "version": name,
                "authSecret": name,
                "replicas": number,
                "maximumReplicas": {"type": ["integer", "null"], "minimum": 1},
                "threads": number,
                "head": _object({"resources": resources}),
                "workers": group,
                "gpu": _object(
                    {
                        "enabled": flag,
                        "image": image,
                        "models": names,
                        "share": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
                        "engine": _choice(inference["gpu_engine"]),
                        "cache": _object(
                            {"existingClaim": text, "size": quantity, "storageClass": text, "accessMode": access}
                        ),
                        "runtimeClassName": text,
                        "workers": group,
                    }
                ),
                "redis": _object(
                    {
                        "enabled": flag,
                        "image": image,
                        "size": quantity,
                        "storageClass": text,
                        "address": text,
                        "passwordSecret": text,
                        "passwordKey": name,
                    }
                ),
            }
        ),
        "orthanc": _object(
            {
                "enabled": flag,
                "image": image,
                "passwordSecret": name,
                "results": {"type": "array", "items": {"enum": list(get_args(ResultKind))}},
                "storage": _object({"existingClaim": text, "size": quantity, "storageClass": text}),
                "resources": resources,
            }
        ),
        "metrics": _object(
            {
                "resources": resources,
                "serviceMonitor": _object({"enabled": flag, "interval": name, "labels": words}),
                "rules": _object(
                    {
                        "enabled": flag,
                        "labels": words,
                        "quietMinutes": number,
                        "workFrom": {"type": "integer", "minimum": 0, "maximum": 23},
                        "workTo": {"type": "integer", "minimum": 1, "maximum": 24},
                        "urgentSeconds": number,
                    }
                ),
                "dashboard": _object({"enabled": flag, "labels": words}),
            }
        ),
        "backup": _object(
            {
                "to": {"type": "string", "pattern": "^(s3://[A-Za-z0-9./_-]+)?$"},
                "schedule": name,
                "s3": _object(bucket),
                "resources": resources,
            }
        ),
        "retention": _object(
            {"imagesDays": {"type": ["integer", "null"], "minimum": 7}, "schedule": name},
        ),
        "reconcile": _object(
            {"schedule": name, "since": {"type": "string", "pattern": "^[0-9]{1,5}[hdw]$"}, "pull": flag}
        ),
        "networkPolicy": _object(
            {
                "enabled": flag,
                "dicomSources": {"type": "array", "minItems": 1, "items": cidr},
                "gateSources": {"type": "array", "items": cidr},
                "destinations": peers,
                "sources": peers,
                "others": peers,
                "objectStore": peers,
                "database": peers,
                "ingressNamespace": name,
                "monitoringNamespace": name,
                "kuberayNamespace": name,
            }
        ),
        "nodeSelector": words,
        "tolerations": tolerations,
    }


def _choice(schema: Json) -> Json:
    """The values a Literal allows; pydantic writes a single one as a constant."""
    return {"enum": schema.get("enum", [schema.get("const")])}


def _site_settings(properties: Json) -> Json:
    return {name: value for name, value in properties.items() if name not in WRITTEN_BY_THE_CHART}


def _object(properties: Json, *, required: list[str] | None = None, additional: bool = False) -> Json:
    found: Json = {"type": "object", "additionalProperties": additional, "properties": properties}
    return found | ({"required": required} if required else {})


def _inline(content: Any, definitions: Json) -> Any:
    """A schema with what it refers to put in its place; defaults, which Helm must not read as advice, left out."""
    if isinstance(content, list):
        return [_inline(entry, definitions) for entry in content]
    if not isinstance(content, dict):
        return content
    if "$ref" in content:
        return _inline(definitions[content["$ref"].rpartition("/")[2]], definitions)
    return {
        key: {name: _inline(entry, definitions) for name, entry in value.items()} if key == "properties"
        else _inline(value, definitions)
        for key, value in content.items()
        if key not in ("default", "title") or (key == "title" and isinstance(value, dict))
    }  # fmt: skip


def main() -> None:
    """Write every file."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for path, make in ((MODELS, models), (SCHEMA, schema), (RENDERED, rendered)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(), encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
