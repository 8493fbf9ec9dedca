"""Faces go, the brain stays whole: heads built from solids, in CT and MR, upright, tilted and turned."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.volume import Volume
from services.datasets.deidentify.faces import find_shear
from services.datasets.deidentify.hold import Hold

STEP_MM = 4.0
SHAPE = (62, 62, 48)
"""(z, y, x) voxels: 248 x 248 x 192 mm."""


def head(pitch_deg: float = 0.0) -> tuple[dict[str, NDArray[np.bool_]], NDArray[np.float64]]:
    """Parts of a head, and LPS of every voxel: brain, skull round it, a face with nose and jaw in front and below."""
    z, y, x = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * STEP_MM for n in SHAPE], indexing="ij")
    places = np.stack([x, y, z], axis=-1)
    angle = np.deg2rad(pitch_deg)
    y, z = y * np.cos(angle) - z * np.sin(angle), y * np.sin(angle) + z * np.cos(angle)

    def ellipsoid(centre: tuple[float, float, float], size: tuple[float, float, float]) -> NDArray[np.bool_]:
        offsets = ((x - centre[0]) / size[0], (y - centre[1]) / size[1], (z - centre[2]) / size[2])
        return np.asarray(sum(o**2 for o in offsets) < 1)

    brain = ellipsoid((0, 5, 35), (64, 80, 58))
    skull = ellipsoid((0, 5, 35), (73, 89, 67)) & ~brain
    scalp = ellipsoid((0, 5, 35), (79, 95, 73))
    nose = ellipsoid((0, -95, -30), (14, 16, 22))
    jaw = ellipsoid((0, -40, -62), (50, 52, 48))
    neck = ellipsoid((0, 35, -80), (48, 45, 60))
    return {
        "brain": brain,
        "skull": skull,
        "face": (nose | jaw) & ~(brain | skull),
        "nose": nose,
        "soft": (scalp | nose | jaw | neck) & ~(brain | skull),
    }, places


def volume(voxels: NDArray[np.float32]) -> Volume:
    origin = -(np.array(SHAPE)[::-1] - 1) / 2 * STEP_MM
    positions = origin + np.arange(SHAPE[0])[:, None] * np.array([0, 0, STEP_MM])
    return Volume(voxels, positions, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (STEP_MM, STEP_MM))


@pytest.mark.parametrize("pitch_deg", [-15.0, 0.0, 15.0])
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_the_face_goes_and_the_brain_stays(modality: str, pitch_deg: float) -> None:
    parts, places = head(pitch_deg)
    values = (
        {"air": -1000.0, "soft": 50.0, "skull": 900.0, "brain": 35.0}
        if modality == "CT"
        else {"air": 2.0, "soft": 120.0, "skull": 15.0, "brain": 150.0}
    )
    voxels = np.full(SHAPE, values["air"], np.float32)
    for name in ("soft", "skull", "brain"):
        voxels[parts[name]] = values[name]
    voxels += np.random.default_rng(3).normal(0, 3, SHAPE).astype(np.float32)
    gone = find_shear(volume(voxels), modality).beyond(places)
    assert not (gone & parts["brain"]).any()
    assert (gone & parts["nose"]).sum() == parts["nose"].sum()
    assert (gone & parts["face"]).sum() > 0.45 * parts["face"].sum()


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_what_has_no_brain_is_held(modality: str) -> None:
    parts, _ = head()
    voxels = np.full(SHAPE, -1000.0 if modality == "CT" else 0.0, np.float32)
    voxels[parts["face"]] = 50.0
    with pytest.raises(Hold):
        find_shear(volume(voxels), modality)
