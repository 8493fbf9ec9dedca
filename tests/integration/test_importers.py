"""Networks built here, saved as nnU-Net and MONAI save them, come back as models that give the same answers."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from monai.networks.nets import UNet
from support.window_network import LABEL

from models.engines import open_engine
from models.errors import InvalidCard
from models.importers.monai import import_monai
from models.importers.nnunet import import_nnunet
from models.importers.plain_unet import PlainUNet
from models.registry import use_shelf
from models.shelf import Shelf

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch's exporter, and MONAI's own
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

SAID: dict[str, Any] = {
    "name": "lesion",
    "version": "1.0.0",
    "task": "Lesions",
    "intended_use": "Research. Not for diagnosis.",
    "priority": 10,
    "inputs": [{"role": "NCCT", "modality": "CT"}],
    "labels": [LABEL],
    "limits": ["Made for a test."],
    "measured": [],
}


def said(folder: Path, **changes: Any) -> Path:
    path = folder / "card.yaml"
    path.write_text(yaml.safe_dump(SAID | changes))
    return path


def answer_of(network: torch.nn.Module, image: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network.eval()(torch.from_numpy(image)).numpy()


def write_nnunet(folder: Path, *, axes: int = 3, plans: dict[str, Any] | None = None) -> torch.nn.Module:
    """An export as nnU-Net v2 leaves it: duplicates in the state dict, a log with NumPy's numbers beside it."""
    torch.manual_seed(0)
    spatial = [16, 16, 16][:axes]
    arguments: dict[str, Any] = {
        "n_stages": 3,
        "features_per_stage": [4, 8, 8],
        "conv_op": f"torch.nn.modules.conv.Conv{axes}d",
        "kernel_sizes": [[1, 3, 3][-axes:], [3] * axes, [3] * axes],
        "strides": [[1] * axes, [1, 2, 2][-axes:], [2] * axes],
        "n_conv_per_stage": [2, 2, 2],
        "n_conv_per_stage_decoder": [2, 2],
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{axes}d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    network = PlainUNet(
        axes, 1, 2, features=[4, 8, 8], kernels=arguments["kernel_sizes"], strides=arguments["strides"],
        down=[2, 2, 2], up=[2, 2], eps=1e-5, slope=0.01, bias=True,
    )  # fmt: skip
    configuration = {
        "patch_size": spatial,
        "spacing": [3.0, 1.0, 1.0][-axes:],
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": arguments,
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }
    statistics = {"mean": 40.0, "std": 20.0, "percentile_00_5": -10.0, "percentile_99_5": 90.0, "median": 38.0}
    content = {
        "transpose_forward": [0, 1, 2],
        "configurations": {"3d_fullres": configuration} | ({"2d": configuration} if axes == 2 else {}),
        "foreground_intensity_properties_per_channel": {"0": statistics},
    }
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(content | (plans or {})))
    (folder / "dataset.json").write_text(
        json.dumps({"channel_names": {"0": "CT"}, "labels": {"background": 0, "lesion": 1}})
    )
    state = network.state_dict()
    twice = {f"decoder.{name}": value for name, value in state.items() if name.startswith("encoder.")}
    torch.save(
        {
            "network_weights": state | twice,
            "logging": {"mean_fg_dice": [np.float64(0.5), np.float32(0.25)], "lrs": [0.01], "epoch": np.int64(7)},
            "init_args": {"fold": 0, "device": torch.device("cpu")},
            "trainer_name": "nnUNetTrainer",
        },
        folder / "fold_0" / "checkpoint_final.pth",
    )
    return network


@pytest.mark.parametrize("axes", [3, 2])
def test_an_nnunet_export_answers_as_it_did(tmp_path: Path, axes: int) -> None:
    network = write_nnunet(tmp_path / "export", axes=axes)
    configuration = "3d_fullres" if axes == 3 else "2d"
    card = import_nnunet(tmp_path / "export", said(tmp_path), tmp_path / "out", configuration=configuration)
    image = np.random.default_rng(0).normal(size=(3, 1, *[16] * axes)).astype(np.float32)
    given = open_engine(tmp_path / "out" / "network.onnx", threads=1).run({"image": image})["logits"]
    np.testing.assert_allclose(given, answer_of(network, image), atol=1e-3)
    assert card.sliding is not None
    assert (card.sliding.axes, card.sliding.patch) == ("SPL", tuple([16] * axes))
    assert card.sliding.spacing_mm == ((3.0, 1.0, 1.0) if axes == 3 else (None, 1.0, 1.0))
    [rule] = card.sliding.intensity
    assert (rule.low, rule.high, rule.centre, rule.scale) == (-10, 90, 40, 20)


@pytest.mark.parametrize(
    ("plans", "labels", "says"),
    [
        ({"configurations": {}}, None, "has no configuration 3d_fullres; it has none"),
        ({"transpose_forward": [2, 1, 0]}, "wrong", "labels: the network's are 1 lesion; the card says 1 wrong"),
    ],
)
def test_what_does_not_go_together_is_named(
    tmp_path: Path, plans: dict[str, Any], labels: str | None, says: str
) -> None:
    write_nnunet(tmp_path / "export", plans=plans)
    card = said(tmp_path, **({"labels": [LABEL | {"name": labels}]} if labels else {}))
    with pytest.raises(InvalidCard, match=says):
        import_nnunet(tmp_path / "export", card, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda plan: plan["architecture"].update(network_class_name="x.ResidualEncoderUNet"), "ResidualEncoderUNet"),
        (lambda plan: plan["architecture"]["arch_kwargs"].update(nonlin="torch.nn.GELU"), r"nonlin torch\.nn\.GELU"),
        (lambda plan: plan.pop("architecture"), "before 2.2"),
        (lambda plan: plan.update(normalization_schemes=["RGBTo01Normalization"]), "RGBTo01Normalization"),
        (lambda plan: plan.update(previous_stage="3d_lowres"), "cascade"),
        (lambda plan: plan["architecture"]["arch_kwargs"].update(features_per_stage=[4, 8, 16]), "holds other weights"),
    ],
)
def test_another_network_is_refused_by_name(tmp_path: Path, change: Any, says: str) -> None:
    write_nnunet(tmp_path / "export")
    path = tmp_path / "export" / "plans.json"
    content = json.loads(path.read_text())
    change(content["configurations"]["3d_fullres"])
    path.write_text(json.dumps(content))
    with pytest.raises(InvalidCard, match=says):
        import_nnunet(tmp_path / "export", said(tmp_path), tmp_path / "out")


class _Harm:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("writer", [torch.save, lambda what, path: path.write_bytes(pickle.dumps(what))])
def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path, writer: Any) -> None:
    write_nnunet(tmp_path / "export")
    writer({"network_weights": _Harm(tmp_path / "harm")}, tmp_path / "export" / "fold_0" / "checkpoint_final.pth")
    with pytest.raises(InvalidCard, match="as tensors and numbers alone"):
        import_nnunet(tmp_path / "export", said(tmp_path), tmp_path / "out")
    assert not (tmp_path / "harm").exists()


NETWORK = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8], "strides": [2]}


def write_bundle(folder: Path, **changes: Any) -> torch.nn.Module:
    """A bundle in the form of MONAI's model zoo."""
    torch.manual_seed(0)
    network = UNet(**NETWORK)
    config = {
        "device": "$torch.device('cuda:0')",
        "roi": [16, 16, 16],
        "network_def": {"_target_": "UNet", **NETWORK},
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
                {"_target_": "Spacingd", "keys": "image", "pixdim": [1.5, 1.5, 2.0], "mode": "bilinear"},
                {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -50, "a_max": 150, "b_min": -1,
                 "b_max": 1, "clip": True},
                {"_target_": "EnsureTyped", "keys": "image", "device": "@device"},
            ],
        },
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": "@roi", "sw_batch_size": 4, "overlap": 0.5},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image"},
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
                {"_target_": "SaveImaged", "keys": "pred", "_disabled_": True, "output_dir": "$@x"},
            ],
        },
    }  # fmt: skip
    metadata = {
        "network_data_format": {
            "inputs": {"image": {"num_channels": 1, "channel_def": {"0": "image"}}},
            "outputs": {"pred": {"num_channels": 2, "channel_def": {"0": "background", "1": "lesion"}}},
        }
    }
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "inference.json").write_text(json.dumps(config | changes))
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return network


def test_a_monai_bundle_answers_as_it_did(tmp_path: Path) -> None:
    network = write_bundle(tmp_path / "bundle")
    card = import_monai(tmp_path / "bundle", said(tmp_path), tmp_path / "out")
    image = np.random.default_rng(0).normal(size=(2, 1, 16, 16, 16)).astype(np.float32)
    given = open_engine(tmp_path / "out" / "network.onnx", threads=1).run({"image": image})["logits"]
    np.testing.assert_allclose(given, answer_of(network, image), atol=1e-3)
    assert card.sliding is not None
    assert (card.sliding.axes, card.sliding.patch, card.sliding.overlap) == ("RAS", (16, 16, 16), 0.5)
    assert card.sliding.spacing_mm == (1.5, 1.5, 2.0)
    [rule] = card.sliding.intensity
    values = np.array([-100.0, -50, 50, 150, 300])
    assert list((np.clip(values, rule.low, rule.high) - rule.centre) / rule.scale) == [-1, -1, 0, 1, 1]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"roi": "$[16] * 3"}, r"inferer\.roi_size is an expression, which is never run"),
        ({"roi": "@nowhere"}, "refers to @nowhere"),
        ({"inferer": {"_target_": "SimpleInferer"}}, "SimpleInferer is not supported"),
        ({"network_def": {"_target_": "os.system", "command": "true"}}, r"os\.system is none of monai\.networks\.nets"),
        ({"network_def": {"_target_": "UNet", "spatial_dims": 3}}, "does not build UNet"),
        ({"network_def": {"_target_": "UNet", **NETWORK, "channels": [4, 16]}}, "holds other weights"),
        ({"preprocessing": {"transforms": []}}, "where its axes lead"),
        ({"preprocessing": {"transforms": [{"_target_": "HistogramNormalized"}]}}, "HistogramNormalized is not"),
        ({"postprocessing": {"transforms": []}}, "neither Activationsd nor AsDiscreted"),
    ],
)
def test_a_bundle_that_cannot_be_read_as_text_is_refused(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    write_bundle(tmp_path / "bundle", **changes)
    with pytest.raises(InvalidCard, match=says):
        import_monai(tmp_path / "bundle", said(tmp_path), tmp_path / "out")


def test_what_was_imported_can_be_added(tmp_path: Path) -> None:
    from models.adding import add_model

    write_bundle(tmp_path / "bundle")
    import_monai(tmp_path / "bundle", said(tmp_path), tmp_path / "out")
    shelf = Shelf(tmp_path / "shelf")
    assert add_model(tmp_path / "out", shelf).name == "lesion"
    use_shelf(None)
