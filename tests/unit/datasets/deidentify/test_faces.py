"""Faces go, the brain stays whole: heads built from solids, in CT and MR, upright, tilted and turned."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from models.volume import Volume
from services.datasets.deidentify.faces import find_shear
from services.datasets.deidentify.hold import Hold

STEP_MM = 4.0
SHAPE = (62, 62, 48)
"""(z, y, x) voxels: 248 x 248 x 192 mm."""


def head(pitch_deg: float = 0.0, step_mm: float = STEP_MM) -> tuple[dict[str, NDArray[np.bool_]], NDArray[np.float64]]:
    """Parts of a head, and LPS of every voxel: brain, skull round it, a face with nose and jaw in front and below.

    Slices are `step_mm` apart.
    """
    counts, steps = (round(SHAPE[0] * STEP_MM / step_mm), *SHAPE[1:]), (step_mm, STEP_MM, STEP_MM)
    z, y, x = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * step for n, step in zip(counts, steps, strict=True)], indexing="ij"
    )
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
        "solid": scalp | nose | jaw | neck,
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


def thick(voxels: NDArray[np.float32], slices: int) -> NDArray[np.float32]:
    """Each so many fine slices averaged to one, as a thick slice averages bone with scalp and brain."""
    kept = voxels[: len(voxels) // slices * slices]
    return kept.reshape(-1, slices, *voxels.shape[1:]).mean(axis=1)


@pytest.mark.parametrize(
    ("modality", "slice_mm", "soft", "brain"),
    [("CT", 5.0, 50.0, 35.0), ("MR", 5.0, 120.0, 150.0), ("MR", 6.0, 120.0, 150.0), ("MR", 6.0, 150.0, 150.0)],
)
def test_of_thick_slices_too_the_face_goes_and_the_brain_stays(
    modality: str, slice_mm: float, soft: float, brain: float
) -> None:
    """The last has fat as bright as brain, as T1 after contrast has."""
    fine = head(step_mm=1.0)
    air, bone = (-1000.0, 900.0) if modality == "CT" else (2.0, 15.0)
    voxels = np.full(fine[1].shape[:3], air, np.float32)
    for name, value in (("soft", soft), ("skull", bone), ("brain", brain)):
        voxels[fine[0][name]] = value
    slices = round(slice_mm)
    voxels = thick(voxels, slices)
    voxels += np.random.default_rng(3).normal(0, 3, voxels.shape).astype(np.float32)
    places = thick(fine[1].astype(np.float32), slices).astype(np.float64)
    positions = places[:, 0, 0]
    shear = find_shear(Volume(voxels, positions, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (STEP_MM, STEP_MM)), modality)
    gone = shear.beyond(places)
    part = {name: thick(mask.astype(np.float32), slices) > 0 for name, mask in fine[0].items()}
    surface = part["face"] & ~ndimage.binary_erosion(part["solid"])
    front = surface & (places[..., 1] < -60.0)
    assert not (gone & part["brain"]).any()
    assert not (part["nose"] & ~gone).any()
    assert front.any()
    assert not (front & ~gone).any()
