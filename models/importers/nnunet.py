"""An nnU-Net v2 export: a trained model's folder with plans.json, dataset.json and fold_N/checkpoint_final.pth.

One fold of a PlainConvUNet; nnU-Net's cascade, ensembles and other networks are refused by name.
"""

from pathlib import Path
from typing import Any

from models.card import Card
from models.errors import InvalidCard
from models.importers.bring import fill, read_checkpoint, read_json, write_model
from models.importers.plain_unet import PlainUNet
from models.sliding.settings import Intensity, Sliding

NETWORK = "PlainConvUNet"


def import_nnunet(
    source: Path, said: Path, out: Path, *, configuration: str = "3d_fullres", fold: str = "0", axes: str = "SPL"
) -> Card:
    """Write a model's folder from an export.

    Args:
        said: see `bring.write_model`.
        axes: where nnU-Net's axes (slice, row, column) led in the images it was trained on.

    Raises:
        InvalidCard: the export cannot be used; the sentence says why.
        UnwritableOutput: `out` cannot be written.
    """
    plans, dataset = read_json(source / "plans.json"), read_json(source / "dataset.json")
    plan = _configuration(plans, configuration)
    channels = [name for _, name in sorted(dataset.get("channel_names", {}).items(), key=lambda entry: int(entry[0]))]
    labels, regions = _labels(dataset)
    settings = _sliding(plans, plan, len(channels), axes, regions=regions)
    network = _network(plan, len(channels), len(labels) + (not regions))
    path = source / f"fold_{fold}" / "checkpoint_final.pth"
    held = read_checkpoint(path)
    if not isinstance(held, dict) or not isinstance(held.get("network_weights"), dict):
        raise InvalidCard(f"{path} holds no network_weights.")
    fill(network, {name.removeprefix("module."): value for name, value in held["network_weights"].items()}, path)
    return write_model(said, network, settings, out, labels=labels, channels=channels)


def _configuration(plans: dict[str, Any], name: str) -> dict[str, Any]:
    """One configuration with what it inherits."""
    known = plans.get("configurations", {})
    if name not in known:
        raise InvalidCard(f"plans.json has no configuration {name}; it has {', '.join(known) or 'none'}.")
    found: dict[str, Any] = known[name]
    if found.get("previous_stage"):
        raise InvalidCard(f"{name} is the second stage of a cascade, which is not supported.")
    if "inherits_from" in found:
        return _configuration(plans, found["inherits_from"]) | found
    return found


def _labels(dataset: dict[str, Any]) -> tuple[dict[str, int], bool]:
    """Labels by name, and whether they are regions, which overlap; values are those nnU-Net would write."""
    named = {name: value for name, value in dataset.get("labels", {}).items() if name != "background"}
    named.pop("ignore", None)
    if order := dataset.get("regions_class_order"):
        return dict(zip(named, order, strict=True)), True
    if any(isinstance(value, list) for value in named.values()):
        raise InvalidCard("dataset.json has regions without regions_class_order.")
    if sorted(named.values()) != list(range(1, len(named) + 1)):
        raise InvalidCard("dataset.json: the labels' values are not 1, 2, ... without a gap.")
    return dict(sorted(named.items(), key=lambda entry: entry[1])), False


def _sliding(plans: dict[str, Any], plan: dict[str, Any], channels: int, axes: str, *, regions: bool) -> Sliding:
    turned = "".join(axes[k] for k in plans.get("transpose_forward", [0, 1, 2]))
    spacing = [None] * (3 - len(plan["spacing"])) + list(plan["spacing"])
    statistics = plans.get("foreground_intensity_properties_per_channel", {})
    masks = plan.get("use_mask_for_norm", [False] * channels)
    rules = [
        _intensity(scheme, statistics.get(str(k), {}), nonzero=bool(mask))
        for k, (scheme, mask) in enumerate(zip(plan["normalization_schemes"], masks, strict=True))
    ]
    return Sliding.model_validate(
        {
            "axes": turned,
            "spacing_mm": spacing,
            "patch": plan["patch_size"],
            "intensity": rules,
            "interpolation": "cubic",
            "output": "sigmoid" if regions else "softmax",
        }
    )


def _intensity(scheme: str, statistics: dict[str, float], *, nonzero: bool) -> Intensity:
    if scheme == "CTNormalization":
        return Intensity(
            rule="window",
            low=statistics["percentile_00_5"],
            high=statistics["percentile_99_5"],
            centre=statistics["mean"],
            scale=max(statistics["std"], 1e-8),
        )
    if scheme == "ZScoreNormalization":
        return Intensity(rule="zscore", nonzero=nonzero)
    if scheme == "NoNormalization":
        return Intensity(rule="none")
    raise InvalidCard(f"The normalisation {scheme} is not supported.")


def _network(plan: dict[str, Any], channels: int, classes: int) -> PlainUNet:
    architecture = plan.get("architecture")
    if architecture is None:
        raise InvalidCard("plans.json does not describe its network (nnU-Net before 2.2). Plan again with a newer one.")
    kind = str(architecture["network_class_name"]).rpartition(".")[2]
    said = architecture["arch_kwargs"]
    axes = len(plan["patch_size"])
    wanted = {
        "conv_op": f"Conv{axes}d",
        "norm_op": f"InstanceNorm{axes}d",
        "dropout_op": "None",
        "nonlin": "LeakyReLU",
    }
    other = [f"{name} {said.get(name)}" for name, value in wanted.items() if _last(said.get(name)) != value]
    if kind != NETWORK or other:
        raise InvalidCard(f"The network {kind} {' '.join(other)}".strip() + f" is not supported; {NETWORK} is.")
    stages = int(said["n_stages"])

    def each(value: Any, count: int) -> list[int]:
        return [value] * count if isinstance(value, int) else list(value)

    return PlainUNet(
        axes,
        channels,
        classes,
        features=said["features_per_stage"],
        kernels=said["kernel_sizes"],
        strides=said["strides"],
        down=each(said["n_conv_per_stage"], stages),
        up=each(said["n_conv_per_stage_decoder"], stages - 1),
        eps=float((said.get("norm_op_kwargs") or {}).get("eps", 1e-5)),
        slope=float((said.get("nonlin_kwargs") or {}).get("negative_slope", 0.01)),
        bias=bool(said.get("conv_bias", False)),
    )


def _last(name: object) -> str:
    return str(name).rpartition(".")[2]
