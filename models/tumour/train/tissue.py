"""How a head with tumours looks to the four sequences: relaxation times, contrast agent, and signal equations."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from models.ais.train.tissue import Maps
from models.synthesis.noise import smooth_noise
from models.synthesis.space import Field, Mask, Space
from models.synthesis.tissue import VOXEL_MM, Tissue
from models.tumour.train.tumours import Part, Parts

Kind = Literal["spin echo", "prepared", "T2", "FLAIR"]

# Ranges of proton density, T1 ms and T2 ms; what does not enhance takes up hardly any contrast.
_PROPERTIES: dict[Part, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    Part.SOLID: ((0.80, 0.95), (1150, 2300), (105, 270)),
    Part.NECROSIS: ((0.88, 1.0), (1400, 3600), (120, 600)),
    Part.CYST: ((0.95, 1.0), (2000, 4200), (250, 1100)),
    Part.ENHANCING: ((0.76, 0.92), (1000, 1900), (72, 190)),
}

# Ranges of what contrast agent adds to 1/T1, 1/s, where there is no barrier to it.
_UPTAKE: dict[Tissue, tuple[float, float]] = {
    Tissue.VENOUS: (1.0, 7.0),
    Tissue.DURA: (0.3, 3.0),
    Tissue.SOFT: (0.1, 0.9),
    Tissue.DIPLOE: (0.0, 1.0),
    Tissue.GREY: (0.02, 0.10),
    Tissue.DEEP_GREY: (0.02, 0.08),
    Tissue.CEREBELLUM: (0.02, 0.10),
    Tissue.WHITE: (0.0, 0.04),
}
DARKEST_UPTAKE, BRIGHTEST_UPTAKE = 0.6, 4.0
"""Of enhancing tumour, 1/s."""


@dataclass(frozen=True, eq=False)
class Patient:
    """A head in which tumours are painted, on the (z, y, x) grid of `space`.

    Attributes:
        uptake: what contrast agent adds to 1/T1, 1/s.
        parts: `Part`, or 0.
    """

    space: Space
    maps: Maps
    uptake: Field
    parts: Parts


@dataclass(frozen=True)
class Contrast:
    """A sequence's weighting.

    Attributes:
        fat: signal of fat and marrow over what fat suppression leaves of it.
        pulsing: CSF that flows escapes inversion, in patches; relative to white matter.
    """

    kind: Kind
    echo_ms: float
    repetition_ms: float
    inversion_ms: float = 0.0
    fat: float = 1.0
    pulsing: float = 0.0


def draw_contrasts(rng: np.random.Generator) -> dict[str, Contrast]:
    """A protocol: T1 before and after contrast mostly by one kind of sequence, T2, FLAIR."""

    def t1() -> Contrast:
        fat = float(rng.uniform(2, 9)) if rng.random() < 0.7 else 1.0
        if rng.random() < 0.5:
            return Contrast("spin echo", float(rng.uniform(7, 17)), float(rng.uniform(380, 750)), fat=fat)
        repetition = float(rng.uniform(1700, 2400))
        return Contrast("prepared", float(rng.uniform(2, 4)), repetition, float(rng.uniform(800, 1150)), fat=fat)

    def bright() -> float:
        return float(rng.uniform(3, 14)) if rng.random() < 0.7 else 1.0

    before = t1()
    repetition = float(rng.uniform(7000, 11500))
    csf_t1 = 4200.0
    null = csf_t1 * (np.log(2) - np.log1p(np.exp(-repetition / csf_t1)))
    return {
        "T1": before,
        "T1c": before if rng.random() < 0.65 else t1(),
        "T2": Contrast("T2", float(rng.uniform(78, 122)), float(rng.uniform(3000, 7000)), fat=bright()),
        "FLAIR": Contrast(
            "FLAIR",
            float(rng.uniform(85, 145)),
            repetition,
            float(null * rng.uniform(0.9, 1.05)),
            fat=bright(),
            pulsing=float(rng.uniform(0.3, 1.4)) if rng.random() < 0.5 else 0.0,
        ),
    }


def signal(patient: Patient, contrast: Contrast, rng: np.random.Generator, *, agent: bool) -> Field:
    """Signal of a sequence; 1 is pure water that has recovered and not decayed.

    Args:
        agent: contrast agent was given.
    """
    maps, tissue = patient.maps, patient.space.anatomy.tissue
    rate = 1000 / maps.t1_ms + (patient.uptake if agent else 0)
    waited = [np.exp(-ms / 1000 * rate) for ms in (contrast.inversion_ms, contrast.repetition_ms)]
    longitudinal = 1 - waited[1] if not contrast.inversion_ms else np.abs(1 - 2 * waited[0] + waited[1])
    image = maps.density * longitudinal * np.exp(-contrast.echo_ms / maps.t2_ms)
    # Sequences differ in more than the equations say: magnetisation transfer, echo trains, flow.
    other = np.clip(rng.normal(1, 0.04, len(Tissue)), 0.85, 1.15).astype(np.float32)
    other[[Tissue.FAT, Tissue.DIPLOE]] *= contrast.fat
    if not agent:
        other[Tissue.VENOUS] *= rng.uniform(0.2, 3)
    image = np.asarray(image * other[tissue], np.float32)
    if contrast.pulsing:
        white = float(image[tissue == Tissue.WHITE].mean())
        flows = np.isin(tissue, np.array((Tissue.CSF, Tissue.VENTRICLE, Tissue.LATERAL), np.uint8))
        flows &= smooth_noise(image.shape, 16, rng) > 1.0
        image[flows & (patient.parts == 0)] += np.float32(contrast.pulsing * white)
    return image


def paint(space: Space, maps: Maps, parts: Parts, rng: np.random.Generator, muscles: Mask | None = None) -> Patient:
    """Tumours and oedema in the tissue's maps, and where contrast agent goes: into muscles of the orbits, too."""
    density, t1, t2 = maps.density.copy(), maps.t1_ms.copy(), maps.t2_ms.copy()
    uptake = _usual_uptake(space, rng)
    if muscles is not None:
        uptake[muscles] += np.float32(rng.uniform(0.5, 4))
    boxes = ndimage.find_objects((parts > 0).astype(np.uint8))
    if boxes:
        box = tuple(slice(max(0, s.start - 4), s.stop + 4) for s in boxes[0])
        inner, shape = parts[box], parts[box].shape
        soft = softened(inner == Part.OEDEMA, 0.5) * (1 + 0.2 * smooth_noise(shape, 9, rng)).clip(0.4, 1.3)
        density[box] += soft * np.float32(rng.uniform(0.05, 0.18))
        t1[box] *= 1 + soft * np.float32(rng.uniform(0.15, 0.7))
        t2[box] *= 1 + soft * np.float32(rng.uniform(0.45, 1.9))
        # Diffuse tumours have no sharp edge, others have.
        edge = float(rng.choice([0.5, 0.5, 1.0, 1.6]))
        uptake[box] *= 1 - softened(inner > Part.OEDEMA, 0.5)
        taken = rng.uniform(DARKEST_UPTAKE, BRIGHTEST_UPTAKE)
        for part, ranges in _PROPERTIES.items():
            mask = inner == part
            if not mask.any():
                continue
            weight = softened(mask, edge if part == Part.SOLID else 0.5)
            uneven = 1 + rng.uniform(0.02, 0.14) * smooth_noise(shape, float(rng.uniform(3, 10)), rng)
            for field, (low, high) in zip((density, t1, t2), ranges, strict=True):
                value = np.exp(rng.uniform(np.log(low), np.log(high)))
                value = np.clip(value * (uneven if field is not density else 1), 20, 4500) if high > 1 else value
                field[box] += weight * (np.asarray(value, np.float32) - field[box])
            if part == Part.ENHANCING:
                amount = taken * (1 + 0.3 * smooth_noise(shape, 6, rng)).clip(0.3, 1.7)
                uptake[box] += weight * amount.astype(np.float32)
            else:
                uptake[box] += weight * np.float32(rng.uniform(0, 0.12))
        if rng.random() < 0.12:
            _bleed(t1[box], t2[box], inner, rng)
    return Patient(space, Maps(density, t1, t2, maps.adc), uptake, parts)


def _usual_uptake(space: Space, rng: np.random.Generator) -> Field:
    """Sinuses, dura, mucosa, choroid plexus and vessels enhance in everybody."""
    tissue = space.anatomy.tissue
    table = np.zeros(len(Tissue), np.float32)
    for which, (low, high) in _UPTAKE.items():
        table[which] = rng.uniform(low, high)
    uptake = table[tissue]
    # Vessels in sulci and fissures: where two random fields are both about zero lie curved tubes.
    thin = [np.abs(smooth_noise(tissue.shape, 9, rng)) < rng.uniform(0.05, 0.16) for _ in range(2)]
    vessels = thin[0] & thin[1] & (np.isin(tissue, np.array((Tissue.CSF, Tissue.GREY), np.uint8)))
    uptake[vessels] += np.float32(rng.uniform(1, 6))
    # Dura lies on the inner table as well, where no label map shows it.
    rim = space.intracranial & (space.depth_mm < 1.5) & (smooth_noise(tissue.shape, 25, rng) > 0)
    uptake[rim] += np.float32(rng.uniform(0, 2))
    _plexus(uptake, space, rng)
    return np.asarray(uptake * np.float32(rng.uniform(0.6, 1.2)), np.float32)


def _plexus(uptake: Field, space: Space, rng: np.random.Generator) -> None:
    places = np.argwhere(space.anatomy.tissue == Tissue.LATERAL)
    if not len(places):
        return
    behind = places[np.argsort(places[:, 1])[len(places) // 3 :]]
    amount = rng.uniform(4, 10)
    for _ in range(int(rng.integers(2, 6))):
        centre = behind[rng.integers(len(behind))]
        near = places[((places - centre) ** 2).sum(axis=1) < (rng.uniform(1.5, 4.5) / VOXEL_MM) ** 2]
        uptake[tuple(near.T)] += np.float32(amount)


def _bleed(t1: Field, t2: Field, inner: Parts, rng: np.random.Generator) -> None:
    """Blood in the body, bright on T1 before contrast already."""
    body = inner > Part.OEDEMA
    noise = smooth_noise(inner.shape, 10, rng)
    patches = body & (noise > np.quantile(noise[body], rng.uniform(0.75, 0.97)))
    t1[patches] = rng.uniform(300, 700)
    t2[patches] *= rng.uniform(0.3, 1.3)


def softened(mask: Mask, sigma: float) -> Field:
    """A mask with soft edges; sigma in voxels."""
    return np.asarray(ndimage.gaussian_filter(mask.astype(np.float32), sigma, truncate=3), np.float32)
