"""Tumours that grow in a synthetic head: what they are made of, what they push aside, and the oedema around them."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.synthesis.mass import Push, displace
from models.synthesis.noise import smooth_noise
from models.synthesis.space import Field, Mask, Space
from models.synthesis.tissue import BRAIN, VENTRICLES, VOXEL_MM, Tissue

Kind = Literal["glioblastoma", "low grade", "cystic", "metastasis", "meningioma"]
Parts = NDArray[np.uint8]
Box = tuple[slice, ...]
Point = tuple[int, int, int]

FARTHEST_SHIFT_MM = 9.0


class Part(IntEnum):
    """What a voxel of a tumour is; all but oedema is its body."""

    OEDEMA = 1
    SOLID = 2
    NECROSIS = 3
    CYST = 4
    ENHANCING = 5


@dataclass(frozen=True)
class Tumour:
    """One lesion to put in.

    Attributes:
        volume_ml: of its body.
        rim_mm: how thick what enhances is, from the outside; 0 for none.
        gaps: share of the rim that does not enhance.
        shell_mm: solid tumour outside of what enhances.
        filling: what lies inside of the rim.
        cysts, specks, septa: shares of the body that are cysts, that enhance, that enhance as walls between cavities.
        oedema_mm: how far oedema reaches along white matter; 0 for none.
        push: how much of it pushes the brain aside rather than replaces it, of its radius.
        lobes: how many bodies it is made of.
        frayed: how uneven its surface is.
        left: on the patient's left; None: either side.
    """

    kind: Kind
    volume_ml: float
    rim_mm: float = 0.0
    gaps: float = 0.0
    shell_mm: float = 0.0
    filling: Part = Part.SOLID
    cysts: float = 0.0
    specks: float = 0.0
    septa: float = 0.0
    oedema_mm: float = 0.0
    push: float = 0.3
    lobes: int = 1
    frayed: float = 0.18
    left: bool | None = None

    @property
    def radius_mm(self) -> float:
        """Of a sphere of its volume."""
        return float((self.volume_ml * 750 / np.pi) ** (1 / 3))


def draw_tumours(rng: np.random.Generator) -> list[Tumour]:
    """A patient's tumours: one glioma or meningioma, or some metastases."""

    def between(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    def perhaps(share: float, low: float, high: float) -> float:
        return float(rng.uniform(low, high)) if rng.random() < share else 0.0

    kind = rng.choice(
        ["glioblastoma", "low grade", "cystic", "metastasis", "meningioma"], p=[0.34, 0.34, 0.07, 0.15, 0.10]
    )
    lobes, push = int(rng.integers(1, 5)), float(rng.uniform(0.0, 0.65))
    if kind == "glioblastoma":
        main = Tumour(
            "glioblastoma",
            between(3, 110),
            rim_mm=between(2.0, 9),
            gaps=perhaps(0.6, 0.05, 0.45),
            shell_mm=perhaps(0.3, 2, 7),
            filling=Part.NECROSIS if rng.random() < 0.85 else Part.SOLID,
            cysts=perhaps(0.15, 0.1, 0.4),
            septa=perhaps(0.35, 0.05, 0.25),
            oedema_mm=perhaps(0.9, 3, 22),
            push=push,
            lobes=lobes,
            frayed=float(rng.uniform(0.12, 0.3)),
        )
        satellites = int(rng.integers(1, 4)) if rng.random() < 0.15 else 0
        return [main, *(_metastasis(between(0.1, 3), rng, main.left) for _ in range(satellites))]
    if kind == "low grade":
        return [
            Tumour(
                "low grade",
                between(4, 140),
                cysts=perhaps(0.3, 0.05, 0.3),
                specks=perhaps(0.35, 0.005, 0.12),
                oedema_mm=perhaps(0.6, 2, 13),
                push=0.7 * push,
                lobes=lobes,
                frayed=float(rng.uniform(0.12, 0.34)),
            )
        ]
    if kind == "cystic":
        return [
            Tumour(
                "cystic",
                between(3, 60),
                rim_mm=perhaps(0.6, 1, 3),
                gaps=float(rng.uniform(0.2, 0.85)),
                filling=Part.CYST,
                specks=float(rng.uniform(0.03, 0.25)),
                oedema_mm=perhaps(0.5, 3, 15),
                push=push,
                lobes=int(rng.integers(1, 3)),
                frayed=0.1,
            )
        ]
    if kind == "metastasis":
        count = int(rng.choice([1, 2, 3, 5, 8, 12], p=[0.3, 0.2, 0.2, 0.15, 0.1, 0.05]))
        return [_metastasis(between(0.05, 25 if number == 0 else 6), rng, None) for number in range(count)]
    return [
        Tumour(
            "meningioma",
            between(2, 80),
            rim_mm=100.0,
            gaps=perhaps(0.2, 0.02, 0.1),
            cysts=perhaps(0.1, 0.05, 0.2),
            oedema_mm=perhaps(0.5, 3, 20),
            push=float(rng.uniform(0.5, 0.9)),
            lobes=int(rng.integers(1, 3)),
            frayed=0.1,
        )
    ]


def _metastasis(volume_ml: float, rng: np.random.Generator, left: bool | None) -> Tumour:
    solid = rng.random() < 0.5 or volume_ml < 0.5
    return Tumour(
        "metastasis",
        volume_ml,
        rim_mm=100.0 if solid else float(rng.uniform(1.5, 5)),
        gaps=0.0 if solid else float(rng.uniform(0, 0.2)),
        filling=Part.NECROSIS if rng.random() < 0.7 else Part.CYST,
        oedema_mm=float(rng.uniform(2, 18)) if rng.random() < 0.6 else 0.0,
        push=float(rng.uniform(0.1, 0.5)),
        frayed=0.1,
        left=left,
    )


def grow(space: Space, tumours: list[Tumour], rng: np.random.Generator) -> tuple[Space, Parts]:
    """The head with what the tumours pushed aside, and what of them is where, `Part` or 0, (z, y, x)."""
    centres = [_begin(space, tumour, rng) for tumour in tumours]
    pushes = [_push(space, tumour, centre) for tumour, centre in zip(tumours, centres, strict=True) if tumour.push]
    moved = space
    if pushes:
        largest = max(range(len(tumours)), key=lambda k: tumours[k].volume_ml)
        strength = tumours[largest].radius_mm * tumours[largest].push * rng.uniform(0, 0.6)
        shift = float(min(FARTHEST_SHIFT_MM, strength)) * (-1 if space.anatomy.left[centres[largest]] else 1)
        moved = displace(space, pushes, shift)
    parts = np.zeros(space.brain.shape, np.uint8)
    for tumour, centre in zip(tumours, centres, strict=True):
        _add(parts, moved, tumour, centre, rng)
    return moved, parts


def _begin(space: Space, tumour: Tumour, rng: np.random.Generator) -> Point:
    """Where it begins: on membranes and under the skull, at cortex and white matter, or deep."""
    tissue, depth = space.anatomy.tissue, space.depth_mm
    if tumour.kind == "meningioma":
        allowed = (space.intracranial & (depth > 1) & (depth < 4)) | (tissue == Tissue.DURA)
    elif tumour.kind == "metastasis":
        allowed = np.isin(tissue, np.array((Tissue.GREY, Tissue.WHITE, Tissue.CEREBELLUM), np.uint8))
    else:
        low = rng.random() < 0.12
        sites = (Tissue.CEREBELLUM, Tissue.BRAIN_STEM) if low else (Tissue.WHITE, Tissue.GREY, Tissue.DEEP_GREY)
        allowed = np.isin(tissue, np.array(sites, np.uint8)) & (depth > 6)
    if tumour.left is not None:
        allowed = allowed & (space.anatomy.left == tumour.left)
    places = np.flatnonzero(allowed)
    place = places[rng.integers(len(places))] if len(places) else np.flatnonzero(space.brain)[0]
    z, y, x = (int(v) for v in np.unravel_index(place, tissue.shape))
    return z, y, x


def _push(space: Space, tumour: Tumour, centre: Point) -> Push:
    reach = tumour.radius_mm * tumour.push
    if tumour.kind != "meningioma":
        return Push(centre=np.array(centre, float), radius_mm=reach)
    axes = np.ogrid[tuple(slice(0, n) for n in space.brain.shape)]
    squared = sum(((axis - c) * VOXEL_MM) ** 2 for axis, c in zip(axes, centre, strict=True))
    return Push(thickness_mm=np.asarray(1.4 * reach * np.exp(-squared / (1.3 * tumour.radius_mm) ** 2), np.float32))


def _add(parts: Parts, space: Space, tumour: Tumour, centre: Point, rng: np.random.Generator) -> None:
    """Put one tumour and its oedema into `parts`; a body covers what other tumours left there."""
    reach = round((2.2 * tumour.radius_mm + 1.7 * tumour.oedema_mm) / VOXEL_MM) + 3
    box = tuple(slice(max(0, c - reach), min(n, c + reach + 1)) for c, n in zip(centre, parts.shape, strict=True))
    tissue = space.anatomy.tissue[box]
    brain = np.isin(tissue, np.array(BRAIN, np.uint8))
    if tumour.kind == "meningioma":
        allowed = space.intracranial[box] & (tissue != Tissue.VENOUS)
    else:
        # Sulci and the walls of what was pushed together are grown through; wide cisterns and ventricles are not.
        near = ndimage.gaussian_filter(brain.astype(np.float32), 1.5) > 0.45
        allowed = (brain | near) & space.intracranial[box] & (tissue != Tissue.DURA)
    body = _body(tumour, allowed, tuple(c - s.start for c, s in zip(centre, box, strict=True)), rng)
    if not body.any():
        return
    inner = _inside(tumour, body, rng)
    around = _oedema(tumour, body, tissue, brain, rng) & (parts[box] == 0)
    parts[box][around] = Part.OEDEMA
    parts[box][body] = inner[body]


def _body(tumour: Tumour, allowed: Mask, centre: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """The voxels nearest to the centres of its lobes, by distances that are stretched and frayed."""
    radius = tumour.radius_mm / VOXEL_MM
    axes = [
        (np.arange(n, dtype=np.float32) - c).reshape([-1 if a == k else 1 for a in range(3)])
        for k, (n, c) in enumerate(zip(allowed.shape, centre, strict=True))
    ]
    distance = np.full(allowed.shape, np.inf, np.float32)
    for lobe in range(tumour.lobes):
        away = rng.normal(0, 0.45, 3) * radius if lobe else np.zeros(3)
        size = rng.uniform(0.55, 1.0) if lobe else 1.0
        turn = np.linalg.qr(rng.standard_normal((3, 3)))[0] * np.exp(rng.normal(0, 0.22, 3))[None]
        squared = sum(
            sum((axes[a] - np.float32(away[a])) * np.float32(turn[a, k]) for a in range(3)) ** 2 for k in range(3)
        )
        distance = np.minimum(distance, np.sqrt(np.asarray(squared, np.float32)) / np.float32(size))
    rough = smooth_noise(allowed.shape, max(4.0, radius), rng) + 0.6 * smooth_noise(
        allowed.shape, max(3.0, 0.4 * radius), rng
    )
    distance *= np.exp(np.float32(tumour.frayed) * rough)
    inside = distance[allowed]
    if not inside.size:
        return np.zeros_like(allowed)
    count = min(max(1, round(tumour.volume_ml * 1000 / VOXEL_MM**3)), inside.size)
    limit = np.partition(inside, count - 1)[count - 1]
    return np.asarray(allowed & (distance <= limit), np.bool_)


def _inside(tumour: Tumour, body: Mask, rng: np.random.Generator) -> Parts:
    """What the body is made of, `Part`; meaningful within it alone."""
    inner = np.full(body.shape, tumour.filling, np.uint8)
    depth: Field = np.asarray(ndimage.distance_transform_edt(body) * VOXEL_MM, np.float32)
    if tumour.cysts and tumour.filling != Part.CYST:
        inner[_share_of(body & (depth > 3), tumour.cysts, 12, rng)] = Part.CYST
    if tumour.rim_mm:
        thick = tumour.rim_mm * np.exp(0.45 * smooth_noise(body.shape, 10, rng))
        rim = body & (depth > tumour.shell_mm) & (depth <= tumour.shell_mm + thick)
        inner[rim] = Part.ENHANCING
        inner[body & (depth <= tumour.shell_mm)] = Part.SOLID
        if tumour.gaps:
            inner[rim & _share_of(body, tumour.gaps, 14, rng)] = Part.SOLID
    if tumour.septa:
        walls = np.abs(smooth_noise(body.shape, 9, rng))
        core = body & (depth > tumour.shell_mm)
        inner[core & (walls < np.quantile(walls, tumour.septa))] = Part.ENHANCING
    if tumour.specks:
        inner[_share_of(body & (depth > 1.5), tumour.specks, float(rng.uniform(5, 14)), rng)] = Part.ENHANCING
    return inner


def _share_of(where: Mask, share: float, wavelength: float, rng: np.random.Generator) -> Mask:
    """A share of the voxels, in patches."""
    if not where.any():
        return where
    noise = smooth_noise(where.shape, wavelength, rng)
    return np.asarray(where & (noise > np.quantile(noise[where], 1 - share)), np.bool_)


def _oedema(tumour: Tumour, body: Mask, tissue: Parts, brain: Mask, rng: np.random.Generator) -> Mask:
    """Along white matter as far as it reaches, unevenly; cortex only where it lies close by."""
    if not tumour.oedema_mm:
        return np.zeros_like(body)
    distance = ndimage.distance_transform_edt(~body) * VOXEL_MM
    reach = tumour.oedema_mm * np.exp(0.6 * smooth_noise(body.shape, 16, rng) - 0.25)
    easy = np.isin(tissue, np.array((Tissue.WHITE, Tissue.BRAIN_STEM, Tissue.CEREBELLUM), np.uint8))
    wet = easy & (distance < reach)
    wet |= brain & (distance < np.minimum(0.3 * reach, 4))
    wet &= ~body & ~np.isin(tissue, np.array(VENTRICLES, np.uint8))
    # From the body outwards: what is cut off from it stays dry.
    start = wet & (distance < 3)
    return np.asarray(ndimage.binary_propagation(start, mask=wet), np.bool_)
