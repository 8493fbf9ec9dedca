"""A MONAI bundle: configs/metadata.json, configs/inference.json and models/model.pt (a state dict).

The configuration is read as text: expressions ("$...") are Python and are never run, references ("@...") are followed.
Networks come from monai.networks.nets, so MONAI is needed here, as torch is.
"""

from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from models.card import Card
from models.errors import InvalidCard
from models.importers.bring import fill, read_checkpoint, read_json, write_model
from models.sliding.settings import Intensity, Sliding

INDIFFERENT = (
    "LoadImaged", "EnsureChannelFirstd", "EnsureTyped", "CastToTyped", "ToTensord", "CropForegroundd", "ToDeviced",
)  # fmt: skip
"""Transforms that change nothing a network would see in its windows."""
NETWORK_KEYS = ("network_def", "network", "net")
NOT_NEEDED = ("device", "network", "keys", "meta_keys", "_requires_", "_desc_", "sw_device")
"""Where a part runs and what it reads, not what it does."""


def import_monai(source: Path, said: Path, out: Path, *, axes: str | None = None) -> Card:
    """Write a model's folder from a bundle.

    Args:
        said: see `bring.write_model`.
        axes: where the network's axes lead, for a bundle that does not say (Orientationd).

    Raises:
        InvalidCard: the bundle cannot be used; the sentence says why.
        UnwritableOutput: `out` cannot be written.
    """
    metadata = read_json(source / "configs" / "metadata.json")
    config = read_json(source / "configs" / "inference.json")
    form = metadata.get("network_data_format", {})
    try:
        image, answer = next(iter(form["inputs"].values())), next(iter(form["outputs"].values()))
        count, names = int(image["num_channels"]), {int(k): str(v) for k, v in answer["channel_def"].items()}
    except (KeyError, StopIteration, AttributeError, ValueError, TypeError) as error:
        raise InvalidCard("metadata.json: network_data_format does not say channels and channel_def.") from error
    softmax = _activation(config)
    labels = {name: value for value, name in sorted(names.items()) if not (softmax and value == 0)}
    if not softmax:
        labels = {name: value + 1 for name, value in labels.items()}
    settings = _sliding(config, count, axes, softmax=softmax)
    network = _network(config)
    path = source / "models" / "model.pt"
    held = read_checkpoint(path)
    for key in ("model", "state_dict", "network"):
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
    if not isinstance(held, Mapping):
        raise InvalidCard(f"{path} holds no state dict.")
    fill(network, held, path)
    channels = [str(name) for _, name in sorted(image.get("channel_def", {}).items())] or ["image"] * count
    return write_model(said, network, settings, out, labels=labels, channels=channels[:count])


def _sliding(config: dict[str, Any], count: int, axes: str | None, *, softmax: bool) -> Sliding:
    inferer = _resolved(config, _find(config, "inferer"), "inferer")
    if _target(inferer) != "SlidingWindowInferer":
        raise InvalidCard(f"The inferer {_target(inferer)} is not supported; SlidingWindowInferer is.")
    found: dict[str, Any] = {
        "patch": inferer.get("roi_size"),
        "overlap": inferer.get("overlap", 0.25),
        "output": "softmax" if softmax else "sigmoid",
        "intensity": [Intensity(rule="none")] * count,
    }
    for step in _steps(config, "preprocessing"):
        name = _target(step)
        if name == "Orientationd":
            axes = str(step.get("axcodes"))
        elif name == "Spacingd":
            found["spacing_mm"] = [value if value and value > 0 else None for value in step["pixdim"]]
            mode = step.get("mode", "bilinear")
            found["interpolation"] = "cubic" if (mode[0] if isinstance(mode, list) else mode) == 3 else "linear"
        elif name in ("ScaleIntensityRanged", "NormalizeIntensityd"):
            found["intensity"] = [_intensity(name, step)] * count
        elif name not in INDIFFERENT:
            raise InvalidCard(f"The transform {name} is not supported.")
    if axes is None:
        raise InvalidCard(
            "The bundle does not say where its axes lead (Orientationd); say so with --axes, such as RAS."
        )
    try:
        return Sliding.model_validate(found | {"axes": axes})
    except ValueError as error:
        raise InvalidCard(f"inference.json does not describe windows that can be run: {error}") from error


def _intensity(name: str, step: Mapping[str, Any]) -> Intensity:
    if name == "NormalizeIntensityd":
        if step.get("subtrahend") is not None or step.get("divisor") is not None:
            raise InvalidCard("NormalizeIntensityd with subtrahend or divisor is not supported.")
        return Intensity(rule="zscore", nonzero=bool(step.get("nonzero", False)))
    low, high = float(step["a_min"]), float(step["a_max"])
    least, most = step.get("b_min"), step.get("b_max")
    least, most = (0.0, high - low) if least is None or most is None else (float(least), float(most))
    scale = (high - low) / (most - least)
    cut = bool(step.get("clip", False))
    return Intensity(
        rule="window", low=low if cut else None, high=high if cut else None, centre=low - least * scale, scale=scale
    )


def _activation(config: dict[str, Any]) -> bool:
    """Whether the answer is one of several labels (softmax), not labels one by one (sigmoid)."""
    for step in _steps(config, "postprocessing", ("Activationsd", "AsDiscreted")):
        if _target(step) == "Activationsd":
            return not step.get("sigmoid", False)
        if _target(step) == "AsDiscreted" and step.get("argmax"):
            return True
    raise InvalidCard("inference.json: postprocessing has neither Activationsd nor AsDiscreted with argmax.")


def _network(config: dict[str, Any]) -> nn.Module:
    try:
        from monai.networks import nets
    except ImportError as error:
        raise InvalidCard(
            "MONAI is not installed here, and the bundle's network is MONAI's: pip install monai."
        ) from error
    key = next((key for key in NETWORK_KEYS if key in config), None)
    if key is None:
        raise InvalidCard(f"inference.json has no {', '.join(NETWORK_KEYS)}.")
    said = _resolved(config, config[key], key)
    target = str(said.get("_target_"))
    name = _target(said)
    kind = getattr(nets, name, None)
    if target not in (name, f"monai.networks.nets.{name}") or not (
        isinstance(kind, type) and issubclass(kind, nn.Module)
    ):
        raise InvalidCard(f"The network {target} is none of monai.networks.nets.")
    try:
        network: nn.Module = kind(**{key: value for key, value in said.items() if not key.startswith("_")})
    except Exception as error:  # whatever a constructor makes of foreign arguments
        raise InvalidCard(f"MONAI does not build {name} from what the bundle says.") from error
    return network


def _steps(config: dict[str, Any], key: str, wanted: Container[str] = ()) -> Iterator[dict[str, Any]]:
    """A composed transform's parts with their values; those switched off, or not among `wanted` if given, left out."""
    composed = _followed(config, _find(config, key), key)
    parts = composed.get("transforms", []) if isinstance(composed, dict) else composed
    for number, entry in enumerate(_followed(config, parts, f"{key}.transforms")):
        place = f"{key}.transforms.{number}"
        part = _followed(config, entry, place)
        if part.get("_disabled_", False) or (wanted and _target(part) not in wanted):
            continue
        yield part if _target(part) in INDIFFERENT else _resolved(config, part, place)


def _find(config: dict[str, Any], key: str) -> Any:
    if key not in config:
        raise InvalidCard(f"inference.json has no {key}.")
    return config[key]


def _resolved(config: dict[str, Any], value: Any, place: str) -> Any:
    """The value with all references in it followed; where it runs and what it reads is left out.

    Raises:
        InvalidCard: an expression or an unknown reference stands where a value is needed.
    """
    value = _followed(config, value, place)
    if isinstance(value, dict):
        return {
            key: _resolved(config, entry, f"{place}.{key}") for key, entry in value.items() if key not in NOT_NEEDED
        }
    if isinstance(value, list):
        return [_resolved(config, entry, f"{place}.{number}") for number, entry in enumerate(value)]
    return value


def _followed(config: dict[str, Any], value: Any, place: str) -> Any:
    """What a value refers to, or itself."""
    if isinstance(value, str) and value.startswith("$"):
        raise InvalidCard(f"inference.json: {place} is an expression, which is never run. Write its value instead.")
    if not isinstance(value, str) or not value.startswith("@"):
        return value
    found: Any = config
    for part in value[1:].replace("#", "::").split("::"):
        try:
            found = found[int(part)] if isinstance(found, list) else found[part]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise InvalidCard(f"inference.json: {place} refers to {value}, which is not there.") from error
    return _followed(config, found, place)


def _target(value: Any) -> str:
    return str(value.get("_target_", "")).rpartition(".")[2] if isinstance(value, dict) else ""
