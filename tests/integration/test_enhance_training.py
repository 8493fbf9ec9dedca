"""Training of the enhancement network in small: slices from volumes and label maps, steps, resuming, export."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from support.labelmaps import write_labelmap
from torch import nn

from models.engines import open_engine
from models.enhance.train import pool as module
from models.enhance.train.export import export
from models.enhance.train.network import BLOCKS, CHANNELS, DetailNet, begin
from models.enhance.train.pool import HELD_OUT, KINDS, Pool, fill
from models.enhance.train.slices import CANVAS
from models.enhance.train.training import ROWS, batch, train
from models.training import Plan


def _volumes(folder: Path) -> Path:
    folder.mkdir()
    x, y, z = np.mgrid[:70, :80, :60]
    ball = 500.0 * (np.hypot(np.hypot((x - 35) / 30, (y - 40) / 34), (z - 30) / 26) < 1) + 40 * np.sin(x / 2)
    for name in ("learned", HELD_OUT[0]):
        nib.save(
            nib.Nifti1Image(np.abs(ball).astype(np.float32), np.diag([2.0, 2.0, 2.0, 1.0])), folder / f"{name}.nii.gz"
        )
    return folder


# The exporter of torch 2.13 warns of its own insides.
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
def test_what_is_drawn_can_be_learned_from_resumed_and_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PER_FILE", 6)
    monkeypatch.setattr(module, "HELD_OUT_MAPS", 1)
    mr, maps = _volumes(tmp_path / "mr"), tmp_path / "maps"
    maps.mkdir()
    for name in ("a", "b"):
        write_labelmap(maps / f"{name}.nii.gz")
    for folder, drawn in (("pool", 1), ("again", 0)):
        fill(mr, maps, tmp_path / folder, real=1, drawn=drawn, shapes=1, seed=3)
    assert {path.name for path in (tmp_path / "pool").glob("*.npy")} == {f"{kind}-000.npy" for kind in KINDS}
    for kind in ("real", "shapes"):
        again = tmp_path / "again" / f"{kind}-000.npy"
        assert again.read_bytes() == (tmp_path / "pool" / f"{kind}-000.npy").read_bytes()

    slices = Pool(tmp_path / "pool")
    assert len(slices) == 18
    image, share, missing = batch(slices, 3, np.random.default_rng(0))
    assert image.shape == (3, 2, ROWS, CANVAS)
    measured = torch.fft.rfft(missing, dim=-1).abs().mean(dim=(1, 2))
    bins = torch.fft.rfftfreq(CANVAS)
    for one, cut in zip(measured, share, strict=True):
        assert one[bins <= 0.5 * cut].max() < 1e-3 * one.max()

    out = tmp_path / "run"
    out.mkdir()
    train(tmp_path / "pool", out, Plan(0.02, batch=2, save_s=0.0), resume=False)
    checkpoint = train(tmp_path / "pool", out, Plan(0.04, batch=2, save_s=0.0), resume=True)
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    resumed = [line["resumed_at"] for line in lines if "plan" in line]
    assert resumed[0] == 0
    assert resumed[1] > 0

    network = DetailNet()
    network.load_state_dict(torch.load(checkpoint, weights_only=True)["network"])
    # What is twice as bright has twice the detail, whatever was learned.
    with torch.no_grad():
        nn.init.normal_(network.leave.weight)
        once = network(image)
        twice = network(torch.cat([2 * image[:, :1], image[:, 1:]], dim=1))
    assert torch.allclose(twice, 2 * once, rtol=1e-3, atol=1e-4 * float(once.abs().max()))
    assert export(network, tmp_path / "small.onnx") < 1e-4
    answer = open_engine(tmp_path / "small.onnx", threads=1).run({"slices": np.zeros((5, 2, 64, 96), np.float32)})
    assert answer["detail"].shape == (5, 1, 64, 96)


# The exporter of torch 2.13 warns of its own insides.
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
def test_a_deeper_network_begins_with_the_answers_of_a_shallower_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        for part in BLOCKS:
            patched.setitem(BLOCKS, part, 1)
        shallow = DetailNet()
    nn.init.normal_(shallow.leave.weight)
    torch.save({"network": shallow.state_dict()}, tmp_path / "shallow.pt")
    export(shallow, tmp_path / "shallow.onnx")
    image = torch.rand(2, CHANNELS, 64, 96)
    for start in ("shallow.pt", "shallow.onnx"):
        deep = DetailNet()
        begin(deep, tmp_path / start)
        with torch.no_grad():
            assert torch.allclose(deep(image), shallow(image), atol=1e-4)
    monkeypatch.setitem(BLOCKS, "last", 0)
    with pytest.raises(ValueError, match=r"shallow\.pt does not hold this network"):
        begin(DetailNet(), tmp_path / "shallow.pt")
