"""A head drawn from formulas: skin, skull, brain, ventricles, folds. No image of a person goes into it."""

import numpy as np
from numpy.typing import NDArray

from models.synthesis.noise import smooth_noise
from models.synthesis.tissue import VOXEL_MM, Anatomy, Tissue

SHAPE = (150, 192, 192)
CENTRE_Z_MM = 82.0
"""Height of the middle of the brain above the lowest slice."""

Field = NDArray[np.float32]


def draw_head(rng: np.random.Generator) -> Anatomy:
    """Draw one head; every call with another generator state gives another person."""
    z, y, x = _grid()
    size = rng.uniform(0.95, 1.05)
    width, length, height = 74 * size * rng.uniform(0.96, 1.05), 92 * size, 84 * size
    folds = smooth_noise(SHAPE, 26, rng) * 0.012
    # Broader behind than in front, flat below: what makes an ellipsoid a head.
    broad = width * (1 + 0.10 * np.clip(y / length, -1, 1))
    radius = np.sqrt((x / broad) ** 2 + (y / length) ** 2 + (np.where(z < 0, z * 0.92, z) / height) ** 2) + folds
    depth = (1 - radius) * (width + length) / 2  # millimetres below the skin, roughly

    tissue = np.zeros(SHAPE, np.uint8)
    scalp, skull = rng.uniform(4.5, 7), rng.uniform(5.5, 8) + smooth_noise(SHAPE, 40, rng) * 0.7
    neck = _neck(z, y, x, width)
    tissue[(depth > 0) | neck] = Tissue.SOFT
    tissue[(depth > 0) & (depth < scalp * 0.65) & (z > -45)] = Tissue.FAT
    in_bone = depth - scalp
    cranial = z > _floor(y, x)
    shell = (in_bone > 0) & (in_bone < skull) & (z > -58)
    tissue[shell] = Tissue.BONE
    tissue[shell & (in_bone > skull * 0.3) & (in_bone < skull * 0.7)] = Tissue.DIPLOE
    inside = in_bone - skull
    cavity = (inside > 0) & cranial
    base = (inside > 0) & ~cranial & (z > _floor(y, x) - 5) & (z > -60)
    tissue[base] = Tissue.BONE
    _face_and_base(tissue, z, y, x, inside, rng)
    tissue[cavity] = Tissue.CSF
    _brain(tissue, z, y, x, inside, cavity, rng)
    _ventricles(tissue, z, y, x, rng)
    _membranes(tissue, z, y, x, inside, cavity, rng)
    return Anatomy(tissue, np.broadcast_to(x > 0, SHAPE).copy())


def _grid() -> tuple[Field, Field, Field]:
    """Millimetres from the middle of the brain: z up, y to the back, x to the left."""
    z = (np.arange(SHAPE[0], dtype=np.float32) * VOXEL_MM - CENTRE_Z_MM)[:, None, None]
    y = ((np.arange(SHAPE[1], dtype=np.float32) - (SHAPE[1] - 1) / 2) * VOXEL_MM)[None, :, None]
    x = ((np.arange(SHAPE[2], dtype=np.float32) - (SHAPE[2] - 1) / 2) * VOXEL_MM)[None, None, :]
    return z, y, x


def _floor(y: Field, x: Field) -> Field:
    """Height of the skull base: anterior, middle and posterior fossa as three steps."""
    steps = np.where(y < -35, -22.0, np.where(y < 5, -38.0, -60.0))
    ridge = 9 * np.exp(-(((y - 8) / 6) ** 2)) * (np.abs(x) > 14)
    middle = 12 * np.exp(-((x / 13) ** 2)) * (y < 5) * (y > -35)
    floor: Field = (steps + ridge + middle).astype(np.float32)
    return floor


def _neck(z: Field, y: Field, x: Field, width: float) -> NDArray[np.bool_]:
    throat = (x / (width * 0.8)) ** 2 + ((y - 12) / 62) ** 2 < 1
    face = (x / (width * 0.82)) ** 2 + ((y + 40) / 52) ** 2 < 1
    return (z < -35) & (throat | (face & (z < -28)))


def _face_and_base(
    tissue: NDArray[np.uint8], z: Field, y: Field, x: Field, inside: Field, rng: np.random.Generator
) -> None:
    """Petrous bones with air cells, orbits, sinuses, vertebra: where beams harden and false alarms live."""
    side = np.abs(x)
    petrous = ((y - 8 - (side - 38) * -0.5) / 9) ** 2 + ((z + 47) / 9) ** 2 < 1
    tissue[petrous & (side > 16) & (side < 60) & (inside > -2)] = Tissue.BONE
    cells = smooth_noise(SHAPE, 3, rng) > 0.5
    mastoid = ((side - 50) / 11) ** 2 + ((y - 16) / 12) ** 2 + ((z + 52) / 12) ** 2 < 1
    tissue[mastoid & cells] = Tissue.AIR
    orbit = ((side - 31) / 17) ** 2 + ((y + 62) / 24) ** 2 + ((z + 38) / 15) ** 2 < 1
    tissue[orbit] = Tissue.FAT
    eye = ((side - 32) / 12) ** 2 + ((y + 70) / 12) ** 2 + ((z + 38) / 12) ** 2 < 1
    tissue[eye] = Tissue.EYE
    wall = ((side - 31) / 19) ** 2 + ((y + 60) / 27) ** 2 + ((z + 38) / 17) ** 2 < 1
    tissue[wall & ~orbit & (y > -72) & (tissue == Tissue.SOFT)] = Tissue.BONE
    nose = (side < 11) & (y < -35) & (y > -78) & (z < -36)
    tissue[nose] = np.where(smooth_noise(SHAPE, 5, rng)[nose] > 0.4, Tissue.SOFT, Tissue.AIR)
    frontal = (side < rng.uniform(8, 22)) & (inside < 0) & (inside > -5) & (y < -60) & (z < 5) & (z > -25)
    tissue[frontal] = Tissue.AIR
    sphenoid = (x / 13) ** 2 + ((y + 25) / 12) ** 2 + ((z + 42) / 8) ** 2 < 1
    tissue[sphenoid] = Tissue.AIR
    vertebra = ((x / 20) ** 2 + ((y - 14) / 14) ** 2 < 1) & (z < -66)
    tissue[vertebra] = Tissue.BONE
    tissue[vertebra & ((x / 9) ** 2 + ((y - 20) / 8) ** 2 < 1)] = Tissue.CSF
    tissue[vertebra & ((x / 5) ** 2 + ((y - 20) / 4.5) ** 2 < 1)] = Tissue.BRAIN_STEM


def _brain(
    tissue: NDArray[np.uint8],
    z: Field,
    y: Field,
    x: Field,
    inside: Field,
    cavity: NDArray[np.bool_],
    rng: np.random.Generator,
) -> None:
    atrophy = rng.uniform(1.0, 3.5)
    surface = inside - atrophy
    # The tentorium is a tent: low at its edges, high in the middle and in front, and only behind the petrous ridges.
    tent = -30 + 22 * np.exp(-((x / 30) ** 2)) * np.clip((60 - y) / 50, 0, 1)
    above_tent = (z > tent) | (y <= 8)
    cerebrum = cavity & (surface > 0) & above_tent
    # Sulci: the zero crossings of a folded field, open near the surface and closed in the depth.
    ribbon = smooth_noise(SHAPE, 13, rng) + 0.45 * smooth_noise(SHAPE, 7, rng)
    opening = np.clip(0.34 - surface * 0.016, 0, None) * (0.45 + 0.25 * atrophy)
    sulcus = np.abs(ribbon) < opening
    sylvian = (
        (np.abs(np.abs(x) - 44) < 9) & (np.abs(z + 6 - (y + 10) * 0.25) < 1.6 + 0.5 * atrophy) & (y > -32) & (y < 28)
    )
    cortex_mm = 3.0
    grey = (surface < cortex_mm) | (np.abs(ribbon) < opening + 0.24) | sylvian
    tissue[cerebrum] = Tissue.WHITE
    tissue[cerebrum & grey & (surface < 24)] = Tissue.GREY
    tissue[cerebrum & (sulcus | sylvian)] = Tissue.CSF
    side = np.abs(x)
    insula = ((side - 24) / 8) ** 2 + ((y + 4) / 18) ** 2 + ((z - 4) / 13) ** 2 < 1
    thalamus = ((side - 10) / 8) ** 2 + ((y - 14) / 13) ** 2 + ((z - 4) / 10) ** 2 < 1
    caudate = ((side - 13) / 4.5) ** 2 + ((y + 22) / 9) ** 2 + ((z - 10) / 12) ** 2 < 1
    tissue[(insula | thalamus | caudate) & cerebrum] = Tissue.DEEP_GREY
    below = cavity & ~above_tent & (surface > 0)
    cerebellum = ((x / 50) ** 2 + ((y - 48) / 34) ** 2 + ((z + 40) / 27) ** 2 < 1) & below
    tissue[cerebellum] = Tissue.CEREBELLUM
    fine = np.abs(smooth_noise(SHAPE, 5, rng)) < 0.12 * atrophy / 2
    tissue[cerebellum & fine & (surface < 14)] = Tissue.CSF
    stem = ((x / 14) ** 2 + ((y - 14) / 12) ** 2 < 1) & (z < -8) & (z > -75) & (inside > -25)
    tissue[stem & ((tissue == Tissue.CSF) | (tissue == Tissue.WHITE) | (tissue == Tissue.CEREBELLUM))] = (
        Tissue.BRAIN_STEM
    )


def _ventricles(tissue: NDArray[np.uint8], z: Field, y: Field, x: Field, rng: np.random.Generator) -> None:
    size = rng.uniform(0.75, 1.45)
    brain = (tissue >= Tissue.GREY) & (tissue <= Tissue.BRAIN_STEM)
    # The body arches over the thalamus from the frontal horn to the trigone; the two sides differ a little.
    for sign in (-1, 1):
        mine = size * rng.uniform(0.88, 1.12)
        course = sign * x - (9 + 12 * np.clip((y - 5) / 45, -0.15, 1) ** 2)
        arch = z - (16 - 0.010 * (y + 5) ** 2)
        body = ((course / (5.0 * mine)) ** 2 + (arch / (6.5 * mine)) ** 2 < 1) & (y > -42) & (y < 40)
        trigone = ((sign * x - 25) / (7 * mine)) ** 2 + ((y - 38) / (13 * mine)) ** 2 + ((z + 0) / (9 * mine)) ** 2 < 1
        horn = ((sign * x - 8) / (4.5 * mine)) ** 2 + ((y + 34) / (11 * mine)) ** 2 + ((z - 8) / (8 * mine)) ** 2 < 1
        tissue[(body | trigone | horn) & brain] = Tissue.LATERAL
    third = (np.abs(x) < 1.6 * size) & (((y - 2) / 15) ** 2 + ((z + 2) / 11) ** 2 < 1)
    fourth = (x / (6 * size)) ** 2 + ((y - 30) / 5) ** 2 + ((z + 38) / 9) ** 2 < 1
    tissue[(third | fourth) & brain] = Tissue.VENTRICLE


def _membranes(
    tissue: NDArray[np.uint8],
    z: Field,
    y: Field,
    x: Field,
    inside: Field,
    cavity: NDArray[np.bool_],
    rng: np.random.Generator,
) -> None:
    wave = smooth_noise((SHAPE[1], SHAPE[2]), 60, rng)[None] * 0.8
    midline = np.abs(x + wave)
    fissure = cavity & (midline < 2.2) & ((z > 26) | ((z > -8) & ((y < -44) | (y > 52))))
    tissue[fissure] = Tissue.CSF
    tissue[fissure & (midline < 0.75)] = Tissue.DURA
    sinus = cavity & (midline < 4.5) & (inside < 5) & (z > -10) & (y > -30)
    tissue[sinus] = Tissue.VENOUS
    transverse = cavity & (inside < 4) & (np.abs(z + 20) < 3.5) & (y > 40)
    tissue[transverse] = Tissue.VENOUS
    cisterns = ((x / 18) ** 2 + ((y + 8) / 9) ** 2 + ((z + 22) / 7) ** 2 < 1) & cavity
    tissue[cisterns & (tissue != Tissue.BRAIN_STEM)] = Tissue.CSF
