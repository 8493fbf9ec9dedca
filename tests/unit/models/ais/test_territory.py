"""Territories of a core: the map against published anatomy, the brain laid on it, and when nothing is said."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from models.ais.preprocess import Diffusion
from models.ais.territory import NAMES, Side, Territory, atlas, read, supply
from models.registry import load_card
from models.resample import index_of, place_of
from models.volume import Volume

# Centres of gyri and nuclei in MNI coordinates (Tzourio-Mazoyer et al. 2002), and whose branches supply them (Tatu et
# al. 2012); gyri that two arteries share are left out.
CENTRES: dict[Territory, tuple[tuple[int, int, int], ...]] = {
    Territory.ACA: (
        (-18, 35, 42), (22, 31, 44), (-5, 5, 61), (-5, 49, 31), (-5, 37, -18), (8, 16, -11), (-4, 35, 14),
        (-5, -15, 42), (-8, -25, 70), (-7, -56, 48), (10, -56, 44),
    ),
    Territory.MCA: (
        (-39, -6, 51), (41, -8, 52), (-33, 33, 35), (38, 33, 34), (-48, 13, 19), (-46, 30, 14), (-36, 31, -12),
        (-47, -8, 14), (-35, 7, 3), (39, 6, 2), (-42, -23, 49), (-43, -46, 47), (-56, -34, 30), (-44, -61, 36),
        (46, -60, 39), (-42, -19, 10), (-53, -21, 7), (-40, 15, -20), (-36, 14, -34), (-56, -34, -2), (-24, 4, 2),
        (28, 5, 2), (-18, 0, 0),
    ),
    Territory.PCA: (
        (-7, -79, 6), (16, -73, 9), (-6, -80, 27), (14, -79, 28), (-15, -68, -5), (16, -67, -4), (-17, -84, 28),
        (-36, -78, -8), (-31, -40, -20), (34, -39, -20), (-25, -21, -10), (29, -20, -10), (-11, -18, 8), (13, -18, 8),
    ),
    Territory.VERTEBROBASILAR: ((-36, -67, -29), (38, -67, -30)),
}  # fmt: skip


def test_the_map_says_what_anatomists_say() -> None:
    _, territories = atlas()
    wrong = {
        place: Territory(int(found)).name
        for territory, places in CENTRES.items()
        for place in places
        if (found := read(territories, np.array([-place[0], -place[1], place[2]], float))) != territory
    }
    assert wrong == {}


def test_territories_are_as_large_as_infarcts_have_shown_them() -> None:
    """Kim et al. 2019: the MCA has 54 % of the cerebrum for sure, ACA and PCA 13 % each; 20 % vary."""
    head, territories = atlas()
    cerebrum = territories.voxels[(head.voxels > 0.5) & (territories.voxels != Territory.VERTEBROBASILAR)]
    share = {territory: float((cerebrum == territory).mean()) for territory in Territory}
    assert 0.54 <= share[Territory.MCA] <= 0.74
    assert 0.13 <= share[Territory.ACA] <= 0.33
    assert 0.13 <= share[Territory.PCA] <= 0.33


def test_the_card_names_what_the_map_knows() -> None:
    measures = {measure.name: measure for measure in load_card("ais").measures}
    [undetermined, *arteries] = measures["main territory"].answers
    assert undetermined.value == "373068000"
    assert [answer.meaning.split()[0] for answer in arteries] == ["Anterior", "Middle", "Posterior", "Vertebrobasilar"]
    assert [answer.meaning for answer in measures["side of main territory"].answers] == [
        "Left",
        "Right",
        "Right and left",
    ]
    for territory, answer in zip(Territory, arteries, strict=True):
        assert measures[f"core, {NAMES[territory]} territory"].site == answer


@dataclass(frozen=True, eq=False)
class Patient:
    """Somebody whose brain is the mean one, moved; `places` are where its voxels are there, LPS mm."""

    images: Diffusion
    places: NDArray[np.float64]

    def core(self, *centres: tuple[int, int, int], radius_mm: float = 7.0) -> NDArray[np.bool_]:
        """Spheres around places in MNI coordinates."""
        away = [np.linalg.norm(self.places - np.array([-x, -y, z]), axis=-1) for x, y, z in centres]
        return np.asarray((np.min(away, axis=0) < radius_mm) & self.images.brain)

    @property
    def left(self) -> NDArray[np.bool_]:
        return np.asarray(self.places[..., 0] > 0)


def _patient(turn_deg: tuple[float, float, float] = (0, 0, 0), size: float = 1.0, lowest_mm: float = -75) -> Patient:
    """In slices of 5 mm, from a height in the scanner up."""
    heights = np.arange(lowest_mm, 95, 5.0)
    volume = Volume(
        voxels=np.zeros((len(heights), 96, 96), np.float32),
        positions_mm=np.array([-119, -119, 0]) + heights[:, None] * np.array([0.0, 0.0, 1.0]),
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        spacing_mm=(2.5, 2.5),
    )
    turn = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    places = place_of(volume, np.indices(volume.voxels.shape).astype(float)) @ turn / size + (0, 18, 0)
    mean, _ = atlas()
    shown = ndimage.map_coordinates(mean.voxels, index_of(mean, places), order=1)
    brain = shown > 0.25
    adc = np.where(brain, 3000 - 2250 * np.clip(2 * shown - 1, 0, 1), 0).astype(np.float32)
    return Patient(Diffusion(volume, adc, "1e-6 mm2/s", brain, (adc < 1500).astype(np.float32), 0.1), places)


@pytest.mark.parametrize(
    ("turn_deg", "size"),
    [((0, 0, 0), 1.0), ((14, -5, 8), 0.9), ((-14, 6, -9), 1.1)],
    ids=["mean", "chin up", "chin down"],
)
def test_a_core_is_placed_however_the_head_lies(turn_deg: tuple[float, float, float], size: float) -> None:
    patient = _patient(turn_deg, size)
    core = patient.core((-48, 5, 20), (-12, -84, 8), radius_mm=10) | patient.core((48, -25, 15), radius_mm=6)
    said = supply(patient.images, core, patient.left)
    assert said["main territory"] == Territory.MCA
    assert said["side of main territory"] == Side.LEFT
    truth = read(atlas()[1], patient.places[core])
    assert said["core, MCA territory"] == pytest.approx(100 * (truth == Territory.MCA).mean(), abs=8)
    assert said["core, PCA territory"] == pytest.approx(100 * (truth == Territory.PCA).mean(), abs=8)
    assert said["core, vertebrobasilar territory"] == 0


def test_slices_may_end_above_the_cerebellum_and_a_core_lie_on_both_sides() -> None:
    patient = _patient((8, 0, 0), lowest_mm=-20)
    core = patient.core((-6, 40, 20), (6, 40, 20))
    said = supply(patient.images, core, patient.left)
    assert (said["main territory"], said["side of main territory"]) == (Territory.ACA, Side.BOTH)
    assert said == supply(patient.images, core, patient.left)


def test_nothing_is_said_where_the_map_does_not_fit() -> None:
    upright = _patient()
    upside_down = replace(upright.images, adc=upright.images.adc[::-1], brain=upright.images.brain[::-1])
    core = upright.core((-48, 5, 20))[::-1]
    assert supply(upside_down, core, upright.left) == {"main territory": 0}
    noise = np.random.default_rng(1).random(upright.images.brain.shape) < 0.2
    assert supply(replace(upright.images, brain=noise), noise, upright.left) == {"main territory": 0}
    outside = upright.core((-48, 5, 20)) & False
    outside[0, :5, :5] = True
    assert supply(upright.images, outside, upright.left) == {"main territory": 0}
