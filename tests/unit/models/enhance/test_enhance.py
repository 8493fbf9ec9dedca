"""The enhancement model with engines that answer what the tests want: what was measured stays, whatever they say."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from models.card import Card
from models.enhance.acquire import Shortcut, acquire
from models.enhance.detect import find_encoding
from models.enhance.kspace import Band, resize, unmeasured
from models.enhance.model import EnhanceModel
from models.enhance.preprocess import prepare
from models.errors import EngineFailure, InvalidVolume, MissingInput
from models.phase import PhaseEncoding
from models.registry import load_card
from models.volume import Volume

Image = NDArray[np.float32]


@dataclass
class Noisy:
    """Adds noise of every frequency: the worst a network could do."""

    seed: int = 0
    name: str = "noisy"

    def run(self, inputs: Mapping[str, Image]) -> dict[str, Image]:
        asked = inputs["slices"]
        assert asked.shape[2] % 4 == 0
        assert asked.shape[3] % 4 == 0
        noise = np.random.default_rng(self.seed).standard_normal((len(asked), 1, *asked.shape[2:]))
        return {"detail": noise.astype(np.float32) * 0.05}


@dataclass
class Wrong:
    name: str = "wrong"

    def run(self, inputs: Mapping[str, Image]) -> dict[str, Image]:
        return {"detail": inputs["slices"][:, :1, ::2]}


def card() -> Card:
    return load_card("enhance")


def head(rows: int = 96, columns: int = 80, slices: int = 3, seed: int = 0) -> Image:
    """Bright enough everywhere that nothing is cut off at zero."""
    rng = np.random.default_rng(seed)
    voxels = rng.standard_normal((slices, rows, columns)) * 300
    smooth = ndimage.gaussian_filter(voxels, (0, 0.4, 0.4)) + ndimage.gaussian_filter(voxels, (0, 8, 8)) * 20
    return (smooth - smooth.min() + 500).astype(np.float32)


def volume(voxels: Image, encoding: PhaseEncoding | None) -> Volume:
    return Volume(
        voxels=voxels,
        positions_mm=np.arange(len(voxels))[:, None] * np.array([[0.0, 0.0, 5.0]]),
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        spacing_mm=(1.0, 1.0),
        encoding=encoding,
    )


@settings(max_examples=25, deadline=None)
@given(
    st.integers(64, 101),
    st.integers(64, 101),
    st.sampled_from([1, 2]),
    st.floats(0.6, 0.85),
    st.sampled_from([0.5, 0.4]),
)
def test_measured_frequencies_are_left_as_they_are(
    rows: int, columns: int, axis: int, fraction: float, readout: float
) -> None:
    voxels = head(rows, columns)
    encoding = PhaseEncoding(axis, measured=fraction * readout, readout=readout, full=readout)
    if min(rows, columns) * readout * 2 < 64:
        return
    prediction = EnhanceModel(card(), Noisy()).predict({"REDUCED": volume(voxels, encoding)})
    assert prediction.image is not None
    added = np.fft.rfft(prediction.image.astype(np.float64) - voxels, axis=axis)
    bins = np.fft.rfftfreq(voxels.shape[axis])
    spread = np.abs(added).mean(axis=tuple(k for k in range(3) if k != axis))
    assert spread[bins <= encoding.measured - 1 / voxels.shape[axis]].max() < 1e-3 * spread.max()
    assert spread[bins > encoding.full + 2 / voxels.shape[axis]].max(initial=0) < 1e-3 * spread.max()
    assert spread.max() > 10
    assert prediction.findings == ()
    assert not prediction.segmentation.any()


def test_a_picture_turned_by_half_is_completed_alike() -> None:
    encoding = PhaseEncoding(2, measured=0.35, readout=0.5, full=0.5)
    voxels = head(96, 80)
    model = EnhanceModel(card(), Noisy())
    images = [model.predict({"REDUCED": volume(one, encoding)}).image for one in (voxels, voxels[:, ::-1, ::-1])]
    assert images[0] is not None
    assert images[1] is not None
    gain = np.abs(images[0] - voxels).max()
    assert np.abs(images[0] - images[1][:, ::-1, ::-1]).max() < 1e-3 * gain


def test_the_picture_is_the_sum_of_what_was_there_and_what_was_missing() -> None:
    truth = head(seed=1)
    scanned = acquire(truth, Shortcut(0.7, slow_phase=False), np.random.default_rng(0))
    assert np.abs(scanned + unmeasured(truth - scanned, Band(0.35)) - truth).max() < 1e-3 * truth.max()


def test_a_coarser_grid_and_back_loses_only_what_it_cannot_hold() -> None:
    smooth = ndimage.gaussian_filter(head(seed=2), (0, 3, 3), mode="wrap").astype(np.float32)
    there = resize(resize(smooth, 60, 1), 96, 1)
    assert np.abs(there - smooth).max() < 0.01 * smooth.max()


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("fraction", [0.67, 0.75])
def test_what_the_header_does_not_say_is_seen_in_k_space(axis: int, fraction: float) -> None:
    truth = head(128, 128, seed=3)
    lines = truth if axis == 2 else truth.transpose(0, 2, 1)
    scanned = acquire(lines, Shortcut(fraction), np.random.default_rng(0))
    scanned = scanned if axis == 2 else scanned.transpose(0, 2, 1)
    found = find_encoding(volume(np.ascontiguousarray(scanned), None))
    assert found is not None
    assert found.axis == axis
    assert found.fraction == pytest.approx(fraction, abs=0.03)
    assert find_encoding(volume(truth, None)) is None


def test_what_cannot_be_completed_is_refused_with_the_reason() -> None:
    model = EnhanceModel(card(), Noisy())
    whole = PhaseEncoding(2, 0.48, 0.5, 0.5)
    with pytest.raises(MissingInput, match="REDUCED"):
        model.predict({})
    with pytest.raises(InvalidVolume, match="96 % of the readout's"):
        prepare(volume(head(), whole))
    with pytest.raises(InvalidVolume, match="Neither header nor k-space"):
        prepare(volume(head(), None))
    with pytest.raises(InvalidVolume, match="pixels"):
        prepare(volume(head(40, 80), replace(whole, measured=0.35)))
    with pytest.raises(InvalidVolume, match="no signal"):
        prepare(volume(np.zeros((2, 80, 80), np.float32), replace(whole, measured=0.35)))
    with pytest.raises(EngineFailure, match="not with planes"):
        EnhanceModel(card(), Wrong()).predict({"REDUCED": volume(head(), replace(whole, measured=0.35))})
