"""Whatever way a volume was acquired, the network sees its own axes, and the answer lies where the image was."""

import numpy as np
import pytest

from models.sliding.frame import frame_of
from models.sliding.settings import Intensity, Sliding
from models.volume import Vector, Volume

AXIAL, TURNED = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), ((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0))
SAGITTAL = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0))


def wanted(axes: str, **changes: object) -> Sliding:
    return Sliding.model_validate({"axes": axes, "patch": (8, 8, 8), "intensity": (Intensity(rule="none"),)} | changes)


def volume(directions: tuple[Vector, Vector], heights: np.ndarray | None = None) -> Volume:
    """Values are ten times the distance to the patient's left plus a hundred times that to the head, in millimetres."""
    row, column = directions
    normal = np.cross(row, column)
    offsets = np.arange(6) * 5.0 if heights is None else heights
    positions = offsets[:, None] * normal + np.array([-20.0, -30.0, -10.0])
    i, j = np.arange(10)[:, None, None], np.arange(12)[None, :, None]
    plane = i * 2.0 * np.array(column) + j * 1.5 * np.array(row)
    points = positions[:, None, None] + plane
    return Volume((10 * points[..., 0] + 100 * points[..., 2]).astype(np.float32), positions, row, column, (2.0, 1.5))


@pytest.mark.parametrize("directions", [AXIAL, TURNED, SAGITTAL], ids=["axial", "turned", "sagittal"])
@pytest.mark.parametrize(("axes", "left", "head"), [("SPL", 2, 0), ("RAS", 0, 2), ("LPI", 0, 2)])
def test_axes_lead_where_the_card_says_and_back(
    directions: tuple[Vector, Vector], axes: str, left: int, head: int
) -> None:
    image = volume(directions)
    frame = frame_of(image, wanted(axes))
    seen = frame.forth(image.voxels)
    for axis, per_mm in ((left, 10), (head, 100)):
        sign = 1 if axes[axis] in "LS" else -1
        steps = np.diff(np.moveaxis(seen, axis, 0), axis=0) * sign
        assert (steps > 0).all()
        assert np.ptp(steps) < 1e-2
        assert round(float(steps.mean()) / per_mm, 3) in (1.5, 2.0, 5.0)
    np.testing.assert_array_equal(frame.restore(seen), image.voxels)


def test_spacing_is_the_networks_and_ramps_survive_the_way_there_and_back() -> None:
    image = volume(AXIAL)
    frame = frame_of(image, wanted("SPL", spacing_mm=(2.5, 1.0, 1.0)))
    seen = frame.forth(image.voxels)
    assert seen.shape == (12, 20, 18)
    inner = (slice(1, -1),) * 3
    np.testing.assert_allclose(frame.restore(seen)[inner], image.voxels[inner], atol=2.0)


def test_uneven_slices_are_evened_and_the_answer_goes_back_to_where_they_were() -> None:
    heights = np.array([0.0, 2.5, 5.0, 10.0, 15.0, 25.0])
    image = volume(AXIAL, heights)
    frame = frame_of(image, wanted("SPL"))
    seen = frame.forth(image.voxels)
    assert np.ptp(np.diff(seen, axis=0)) < 1e-2
    np.testing.assert_allclose(frame.restore(seen), image.voxels, atol=1e-2)
