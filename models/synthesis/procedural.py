"""A head drawn from formulae alone, so that demonstrations and tests need no image of anybody."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.synthesis.anatomy import Anatomy, Tissue, smooth_noise

Field = NDArray[np.float32]

# Control points (|x|, y, z, radius) in millimetres of one lateral ventricle, frontal horn to temporal horn.
VENTRICLE_PATH = (
    ((8, -34, 3, 4.0), (10, -22, 12, 5.0)),
    ((10, -22, 12, 5.0), (11, 5, 20, 4.5)),
    ((11, 5, 20, 4.5), (20, 30, 12, 6.5)),
    ((20, 30, 12, 6.5), (19, 50, 6, 3.0)),
    ((20, 30, 12, 6.5), (33, 12, -12, 3.0)),
    ((33, 12, -12, 3.0), (30, -10, -20, 1.8)),
)


def _ellipsoid(x: Field, y: Field, z: Field, centre: tuple[float, ...], axes: tuple[float, ...]) -> NDArray[np.bool_]:
    """Bool mask of an ellipsoid; coordinates and axes in millimetres, (x, y, z)."""
    inside: NDArray[np.bool_] = (
        ((x - centre[0]) / axes[0]) ** 2 + ((y - centre[1]) / axes[1]) ** 2 + ((z - centre[2]) / axes[2]) ** 2
    ) < 1
    return inside


def _tube(x: Field, y: Field, z: Field, start: tuple[float, ...], end: tuple[float, ...]) -> Field:
    """Distance in millimetres to the surface of a tapering tube between two (x, y, z, radius) points."""
    a, b = np.array(start[:3]), np.array(end[:3])
    axis = b - a
    t = ((x - a[0]) * axis[0] + (y - a[1]) * axis[1] + (z - a[2]) * axis[2]) / float(axis @ axis)
    t = np.clip(t, 0, 1)
    distance = np.sqrt((x - a[0] - t * axis[0]) ** 2 + (y - a[1] - t * axis[1]) ** 2 + (z - a[2] - t * axis[2]) ** 2)
    surface: Field = distance - (start[3] + t * (end[3] - start[3]))
    return surface


def draw_anatomy(random: np.random.Generator, spacing_mm: float = 1.2) -> Anatomy:
    """A plausible adult head, different for every state of `random`.

    The grid's axes are (z, y, x) rising superior, posterior, left; the cranial cavity lies about its middle.
    """
    half = (96.0, 112.0, 92.0)
    axes = [np.arange(-h, h, spacing_mm, dtype=np.float32) for h in (half[2], half[1], half[0])]
    shape = (len(axes[0]), len(axes[1]), len(axes[2]))
    wobble = [smooth_noise(shape, 28 / spacing_mm, random) * 1.6 for _ in range(3)]
    scale = 1 + random.uniform(-0.05, 0.05, 3)
    # `broad` follows the skull, `z/y/x` carry the finer wobble that breaks the left-right symmetry inside.
    z = axes[0][:, None, None] / scale[0] + wobble[0]
    y = axes[1][None, :, None] / scale[1] + wobble[1]
    x = axes[2][None, None, :] / scale[2] + wobble[2]
    side = np.abs(x)

    # Floor of the cranial cavity: high in front, lower in the middle fossa, deepest behind.
    back = 1 / (1 + np.exp(-(y - 8) / 5))
    front = 1 / (1 + np.exp((y + 34) / 4))
    floor = -40 + 20 * front - 30 * back * np.exp(-((side / 46) ** 4)) + 8 * (side < 10) * (1 - back) * (1 - front)
    # Wider behind than in front, as heads are.
    width = 67 * (1 - 0.10 * np.clip(-y / 90, 0, 1) ** 2 + 0.03 * np.clip(y / 60, 0, 1))
    bowl = (side / width) ** 2.3 + (np.abs(y) / 84) ** 2.3 + (np.abs(z) / np.where(z > 0, 68, 75)) ** 2.2
    cavity = (bowl < 1) & (z > floor)

    outside = ndimage.distance_transform_edt(~cavity).astype(np.float32) * spacing_mm
    depth = ndimage.distance_transform_edt(cavity).astype(np.float32) * spacing_mm
    uneven = smooth_noise(shape, 14 / spacing_mm, random)
    thickness = random.uniform(5.0, 7.5) + 1.1 * uneven + 2.0 * (z < -15)
    scalp = thickness + random.uniform(5, 9) + 1.0 * uneven
    vault = z > floor - 6

    tissue = np.zeros(shape, np.uint8)
    face = _ellipsoid(side, y, z, (0, -38, -60), (62, 58, 62)) & (z < -8)
    neck = _ellipsoid(side, y, z, (0, 22, -80), (58, 62, 70)) & (z < -20)
    fat = smooth_noise(shape, 5 / spacing_mm, random) > 0.1
    head = (outside < scalp) | face | neck
    tissue[head] = Tissue.SOFT
    tissue[head & fat] = Tissue.FAT
    skin_depth = ndimage.binary_erosion(head, iterations=2)
    tissue[head & ~skin_depth] = Tissue.SKIN
    shell = (outside > 0) & (outside < thickness)
    tissue[shell] = Tissue.BONE
    tissue[shell & vault & (outside > 0.30 * thickness) & (outside < 0.68 * thickness) & (thickness > 5)] = Tissue.DIPLOE

    _draw_face(tissue, x, y, z, shell, random)
    _draw_brain(tissue, cavity, depth, x, y, z, spacing_mm, random)
    return Anatomy(tissue, spacing_mm, cavity, x.astype(np.float32))


def _draw_face(
    tissue: NDArray[np.uint8], x: Field, y: Field, z: Field, shell: NDArray[np.bool_], random: np.random.Generator
) -> None:
    """Orbits, air sinuses, mastoid cells, facial bone, in place."""
    side = np.abs(x)
    shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    cells = smooth_noise(shape, 2.2, random)
    orbit = _ellipsoid(side, y, z, (31, -70, -32), (17, 26, 15)) & ~shell
    rim = _ellipsoid(side, y, z, (31, -70, -32), (20, 28, 18)) & ~orbit & (y > -88)
    tissue[rim] = Tissue.BONE
    tissue[orbit] = Tissue.FAT
    tissue[_ellipsoid(side, y, z, (31, -78, -32), (12, 12, 12))] = Tissue.EYE
    tissue[orbit & (_tube(side, y, z, (31, -66, -32, 2.2), (18, -42, -30, 2.0)) < 0)] = Tissue.SOFT
    for centre, size in (
        ((24, -62, -62), (14, 17, 18)),  # maxillary
        ((7, -62, -38), (7, 20, 12)),  # ethmoid
        ((8, -26, -47), (9, 12, 8)),  # sphenoid
        ((13, -86, -8), (10, 5, 9)),  # frontal
    ):
        grown = (size[0] + 2.5, size[1] + 2.5, size[2] + 2.5)
        cavity_of = _ellipsoid(side, y, z, centre, size)
        wall = _ellipsoid(side, y, z, centre, grown) & ~cavity_of & (tissue > 0)
        tissue[wall] = Tissue.BONE
        tissue[cavity_of] = Tissue.AIR
        if centre[0] == 7:
            tissue[cavity_of & (cells > 0.9)] = Tissue.MUCOSA
    petrous = _tube(side, y, z, (18, 2, -38, 5), (58, 26, -42, 11)) < 0
    tissue[petrous & (tissue > 0) & (tissue < Tissue.CSF)] = Tissue.BONE
    mastoid = _ellipsoid(side, y, z, (56, 28, -48), (11, 14, 16)) & (tissue == Tissue.BONE) & (cells > 0.2)
    tissue[mastoid] = Tissue.AIR
    canal = _tube(side, y, z, (60, 6, -45, 3), (90, 6, -47, 3.5)) < 0
    tissue[canal] = Tissue.AIR
    tissue[_tube(side, y, z, (0, 24, -72, 16), (0, 26, -95, 16)) < 0] = Tissue.BONE
    cord = _tube(side, y, z, (0, 22, -66, 9), (0, 26, -95, 9)) < 0
    tissue[cord] = Tissue.CSF
    tissue[_tube(side, y, z, (0, 22, -66, 6), (0, 26, -95, 6)) < 0] = Tissue.BRAIN_STEM
    tissue[_ellipsoid(side, y, z, (0, -38, -86), (14, 34, 16))] = Tissue.AIR


def _draw_brain(
    tissue: NDArray[np.uint8],
    cavity: NDArray[np.bool_],
    depth: Field,
    x: Field,
    y: Field,
    z: Field,
    spacing_mm: float,
    random: np.random.Generator,
) -> None:
    """Everything inside the skull, in place. `depth` is the distance from the inner table in millimetres."""
    side = np.abs(x)
    shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    atrophy = random.uniform(0, 1) ** 1.5
    folds = smooth_noise(shape, 4.6 / spacing_mm, random)
    fissure = np.abs(folds) < (0.10 + 0.13 * atrophy) * np.clip(1.15 - depth / 22, 0, 1)
    rim = depth < 1.3 + 2.2 * atrophy
    tentorium = -18 + 16 * np.exp(-((side / 22) ** 2)) - 0.25 * np.clip(y - 35, 0, 60) - 0.12 * side
    below = (z < tentorium) & (y > 10)

    sylvian = (np.abs(z - (-6 + 0.22 * (side - 30) + 0.15 * (y + 10))) < 1.2 + 1.6 * atrophy) & (side > 28)
    sylvian &= (np.abs(y + 8) < 26) & (depth < 34)
    insula = (np.abs(side - 33) < 1.2 + atrophy) & _ellipsoid(side, y, z, (33, -4, 0), (6, 24, 17))
    cleft = (side < 1.6 + 1.2 * atrophy) & ((z > 26) | (y < -32) | (y > 34)) & ~below
    csf = cavity & (rim | fissure | sylvian | insula | cleft)

    stem = (_tube(side, y, z, (0, 10, -14, 13), (0, 16, -36, 14)) < 0) | (
        _tube(side, y, z, (0, 16, -36, 14), (0, 24, -66, 8)) < 0
    )
    around_stem = (_tube(side, y, z, (0, 10, -14, 17), (0, 22, -64, 16)) < 0) & (z < -10)
    cisterns = _ellipsoid(side, y, z, (0, -10, -26), (14, 11, 6)) | around_stem
    cisterns |= _ellipsoid(side, y, z, (0, 30, -8), (9, 6, 6))
    csf |= cavity & cisterns

    near_csf = ndimage.distance_transform_edt(~csf).astype(np.float32) * spacing_mm
    tissue[cavity] = Tissue.WHITE
    tissue[cavity & (near_csf < 3.4)] = Tissue.GREY
    tissue[cavity & below] = Tissue.CEREBELLUM
    grooves = below & (np.abs(np.sin((z + 0.25 * y) * 0.75 + folds)) < 0.10 + 0.1 * atrophy) & (depth < 22)
    for centre, size in (
        ((11, 6, 1), (8.5, 14, 9)),
        ((26, -6, 1), (5, 16, 10)),
        ((18, -4, -1), (4.5, 9, 7)),
        ((14, -22, 9), (4.5, 10, 9)),
    ):
        tissue[cavity & _ellipsoid(side, y, z, centre, size) & (side > 3)] = Tissue.DEEP_GREY
    tissue[csf | (cavity & grooves)] = Tissue.CSF
    tissue[cavity & stem] = Tissue.BRAIN_STEM

    growth = random.uniform(-1.0, 2.0) + 2.5 * atrophy
    uneven = 0.8 * smooth_noise(shape, 9 / spacing_mm, random)
    lateral = np.minimum.reduce([_tube(side, y, z, a, b) for a, b in VENTRICLE_PATH])
    tissue[cavity & (lateral + uneven < growth) & (side > 0.9) & ~cisterns] = Tissue.LATERAL_VENTRICLE
    third = (side < 1.4 + 1.6 * atrophy) & (np.abs(y + 1) < 14) & (np.abs(z + 4) < 9)
    fourth = _ellipsoid(side, y, z, (0, 33, -40), (7, 5.5, 9)) | (_tube(side, y, z, (0, 13, -12, 1), (0, 30, -36, 1.4)) < 0)
    tissue[cavity & (third | fourth)] = Tissue.MEDIAL_VENTRICLE

    falx = (side < 0.75) & ((z > 24) | (y < -36) | (y > 38)) & ~below
    tent = (np.abs(z - tentorium) < 0.7) & (y > 12) & (side > 14 - 0.2 * (y - 12))
    tissue[cavity & (falx | tent) & (tissue != Tissue.BRAIN_STEM)] = Tissue.DURA
    sagittal = cavity & (depth < 5.5) & (side < 4.5 - 0.5 * depth) & ((z > 0) | (y > 40)) & (y > -70)
    transverse = cavity & (depth < 5) & (np.abs(z - tentorium) < 4) & (y > 22) & (side > 3)
    tissue[sagittal | transverse] = Tissue.VENOUS_SINUS
    tissue[cavity & (_tube(side, y, z, (4, -14, -24, 1.5), (32, -12, -14, 1.2)) < 0)] = Tissue.ARTERY
    tissue[cavity & _ellipsoid(x, y, z, (0, 5, -27), (1.8, 1.8, 7))] = Tissue.ARTERY
    if random.random() < 0.8:
        tissue[_ellipsoid(x, y, z, (random.uniform(-1, 1), 24, 0), (2.2, 2.6, 2.2))] = Tissue.CALCIFICATION
    if random.random() < 0.75:
        size = random.uniform(1.6, 3.6)
        for sign in (-1, 1):
            choroid = _ellipsoid(x, y, z, (sign * 21, 32, 10 + random.uniform(-3, 3)), (size, size * 1.4, size))
            tissue[choroid & (tissue == Tissue.LATERAL_VENTRICLE)] = Tissue.CALCIFICATION
