"""Evaluation of the enhancement model: whole images are acquired again with fewer lines, completed, and compared.

The truth is the image itself, so no labels are needed; zero-filled sinc interpolation, which is what the scanner would
have shown, is measured beside the model everywhere.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.card import Card
from models.enhance.acquire import Shortcut, acquire
from models.errors import InvalidVolume, ModelError
from models.nifti import read_nifti
from models.phase import PhaseEncoding
from models.prediction import Prediction
from models.registry import Model
from models.volume import Volume
from services.datasets.evaluation.estimate import Estimate, median, proportion
from services.datasets.evaluation.image_quality import (
    Spot,
    contrast,
    draw_spots,
    edge_sharpness,
    flat_error,
    head_of,
    psnr_db,
    put_in,
    ssim,
    worst_invention,
)
from services.errors import SettingsError

FRACTIONS = (0.75, 0.67)
"""Phase-encoding lines cut by a quarter and by a third."""

HARDER = {
    "noise": Shortcut(0.70, noise=0.02),
    "partial Fourier 7/8": Shortcut(0.70, partial_fourier=0.875),
    "motion": Shortcut(0.70, motion_px=0.4),
}
"""Of the peak; at 70 percent of the lines."""

MOST_SLICES = 16
FULLEST = 0.5
"""Slices whose head is at least half as large as the largest one's are measured."""

SPOTS_A_SLICE = 4
VANISHED = APPEARED = 0.5
"""Share of a lesion's contrast that is lost, or that shows where no lesion is, to count as one."""

KEPT = 0.05

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class SliceScore:
    """One slice under one condition, by zero-filled sinc and by the model.

    Attributes:
        axis: phase axis, rows or columns.
        edges: slope at the truth's edges along the phase axis, as a share of the truth's.
        flat: error in flat tissue, percent of the peak.
        worst: largest error of a small lesion's size, percent of the peak.
    """

    study: str
    condition: str
    axis: str
    slice: int
    psnr_sinc: float
    psnr: float
    ssim_sinc: float
    ssim: float
    edges_sinc: float
    edges: float
    flat_sinc: float
    flat: float
    worst_sinc: float
    worst: float


@dataclass(frozen=True)
class SpotScore:
    """One inserted lesion.

    Attributes:
        kept_sinc, kept: its contrast as a share of the truth's.
        appeared: contrast that shows at its place where it was not inserted and the truth has none, as a share of its.
    """

    study: str
    condition: str
    slice: int
    radius: float
    kept_sinc: float
    kept: float
    appeared: float


@dataclass(frozen=True)
class EnhancementEvaluation:
    """What came out; `left` says why a file is not in it."""

    card: Card
    dataset: str
    synthetic: bool
    on: date
    slices: tuple[SliceScore, ...]
    spots: tuple[SpotScore, ...]
    left: tuple[tuple[str, str], ...]


def evaluate_enhancement(
    model: Model, images: Path, *, dataset: str, synthetic: bool, on: date, progress: Progress | None = None
) -> EnhancementEvaluation:
    """Measure the model on every NIfTI of a folder, each acquired whole.

    Raises:
        SettingsError: there is none.
    """
    files = sorted(images.glob("*.nii.gz")) + sorted(images.glob("*.nii"))
    if not files:
        raise SettingsError(f"--images {images}: no NIfTI (*.nii, *.nii.gz) there. Name a folder of whole MR images.")
    slices: list[SliceScore] = []
    spots: list[SpotScore] = []
    left: list[tuple[str, str]] = []
    for number, path in enumerate(files):
        name = path.name.split(".nii")[0]
        if progress is not None:
            progress(name, number, len(files))
        try:
            volume = _fullest(read_nifti(path)[0])
            rng = np.random.default_rng([number, 20_263])
            slices += measure_slices(model, name, volume, rng)
            spots += measure_spots(model, name, volume, rng)
        except ModelError as error:
            left.append((name, str(error)))
    if progress is not None:
        progress("", len(files), len(files))
    return EnhancementEvaluation(model.card, dataset, synthetic, on, tuple(slices), tuple(spots), tuple(left))


def measure_slices(model: Model, study: str, volume: Volume, rng: np.random.Generator) -> Iterator[SliceScore]:
    """Both phase axes at both fractions, and harder scans along the columns."""
    plain = [(f"{fraction:.0%}", Shortcut(fraction), axis) for fraction in FRACTIONS for axis in (1, 2)]
    harder = [(name, shortcut, 2) for name, shortcut in HARDER.items()]
    peak = _peak(volume)
    for condition, shortcut, axis in (*plain, *harder):
        scan = replace(shortcut, noise=shortcut.noise * peak)
        sinc, completed = _again(model, volume, scan, axis, rng)
        for k, truth in enumerate(volume.voxels):
            head = head_of(truth, peak)
            yield SliceScore(
                study,
                condition,
                "rows" if axis == 1 else "columns",
                k,
                psnr_db(sinc[k], truth, peak),
                psnr_db(completed[k], truth, peak),
                ssim(sinc[k], truth, peak),
                ssim(completed[k], truth, peak),
                edge_sharpness(sinc[k], truth, head, axis - 1),
                edge_sharpness(completed[k], truth, head, axis - 1),
                flat_error(sinc[k], truth, head, axis - 1, peak),
                flat_error(completed[k], truth, head, axis - 1, peak),
                worst_invention(sinc[k], truth, head, peak),
                worst_invention(completed[k], truth, head, peak),
            )


def measure_spots(model: Model, study: str, volume: Volume, rng: np.random.Generator) -> Iterator[SpotScore]:
    """Small lesions put into every slice, acquired and completed with and without them."""
    peak = _peak(volume)
    put: list[list[Spot]] = [
        draw_spots(truth, head_of(truth, peak), SPOTS_A_SLICE, peak, rng) for truth in volume.voxels
    ]
    ill = replace(volume, voxels=np.stack([put_in(t, s) for t, s in zip(volume.voxels, put, strict=True)]))
    for fraction in FRACTIONS:
        shortcut = Shortcut(fraction)
        seed = int(rng.integers(2**31))
        sinc, completed = _again(model, ill, shortcut, 2, np.random.default_rng(seed))
        _, healthy = _again(model, volume, shortcut, 2, np.random.default_rng(seed))
        for k, spots in enumerate(put):
            for spot in spots:
                before = contrast(volume.voxels[k], spot)
                there = contrast(ill.voxels[k], spot) - before
                if abs(there) < 0.03 * peak:
                    continue
                yield SpotScore(
                    study,
                    f"{fraction:.0%}",
                    k,
                    spot.radius,
                    (contrast(sinc[k], spot) - before) / there,
                    (contrast(completed[k], spot) - before) / there,
                    (contrast(healthy[k], spot) - before) / there,
                )


def _again(
    model: Model, volume: Volume, shortcut: Shortcut, axis: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The volume as a scan with fewer lines shows it, and completed by the model."""
    lines = volume.voxels if axis == 2 else volume.voxels.transpose(0, 2, 1)
    scanned = acquire(np.ascontiguousarray(lines), shortcut, rng)
    scanned = scanned if axis == 2 else np.ascontiguousarray(scanned.transpose(0, 2, 1))
    encoding = PhaseEncoding(axis, 0.5 * shortcut.fraction, 0.5, 0.5)
    role = model.card.reference.role
    prediction: Prediction = model.predict({role: replace(volume, voxels=scanned, encoding=encoding)})
    if prediction.image is None:
        raise InvalidVolume(f"{model.card.name} answered without an image.")
    return scanned, prediction.image


def _fullest(volume: Volume) -> Volume:
    """At most MOST_SLICES, evenly chosen of those that show most of the head."""
    peak = _peak(volume)
    filled = (volume.voxels > 0.08 * peak).mean(axis=(1, 2))
    chosen = np.flatnonzero(filled >= FULLEST * filled.max())
    chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, min(MOST_SLICES, len(chosen))).round().astype(int))]
    even = [side - side % 2 for side in volume.voxels.shape[1:]]
    return replace(
        volume,
        voxels=np.maximum(volume.voxels[chosen, : even[0], : even[1]], 0),
        positions_mm=volume.positions_mm[chosen],
        sources=(),
    )


def _peak(volume: Volume) -> float:
    return float(np.percentile(volume.voxels, 99.9))


def summarise(evaluation: EnhancementEvaluation) -> dict[str, Any]:
    """Everything but the slices themselves, in plain types: by study and condition, medians with 95 % intervals."""
    studies = dict.fromkeys(score.study for score in evaluation.slices)
    return {
        "notice": "To be read beside the acquired series. Not for diagnosis.",
        "synthetic": evaluation.synthetic,
        "dataset": evaluation.dataset,
        "date": evaluation.on.isoformat(),
        "model": {
            "name": evaluation.card.name,
            "version": evaluation.card.version,
            "weights_sha256": evaluation.card.weights.sha256,
        },
        "studies": {study: _of_study(evaluation, study) for study in studies},
        "not_evaluated": [{"study": study, "reason": reason} for study, reason in evaluation.left],
    }


def _of_study(evaluation: EnhancementEvaluation, study: str) -> dict[str, Any]:
    slices = [score for score in evaluation.slices if score.study == study]
    conditions = dict.fromkeys(score.condition for score in slices)
    return {
        condition: _of_slices([score for score in slices if score.condition == condition])
        | _of_spots([score for score in evaluation.spots if (score.study, score.condition) == (study, condition)])
        for condition in conditions
    }


def _of_slices(scores: Sequence[SliceScore]) -> dict[str, Any]:
    def over(name: str) -> float:
        return float(np.median([getattr(score, name) for score in scores]))

    def gain(axis: str | None = None) -> dict[str, float | int | None]:
        return _plain(median([score.psnr - score.psnr_sinc for score in scores if axis in (None, score.axis)]))

    measures = ("psnr", "ssim", "edges", "flat", "worst")
    return {
        "slices": len(scores),
        **{name: round(over(name), 4) for one in measures for name in (f"{one}_sinc", one)},
        "psnr_gain_db": gain(),
        # Along one axis an image may be less sharp than its pixels, and there is less to complete.
        "psnr_gain_db_along": {axis: gain(axis) for axis in dict.fromkeys(score.axis for score in scores)},
        "ssim_gain": _plain(median([score.ssim - score.ssim_sinc for score in scores])),
    }


def _of_spots(scores: Sequence[SpotScore]) -> dict[str, Any]:
    if not scores:
        return {}
    return {
        "lesions": len(scores),
        "contrast_kept_sinc": _plain(median([score.kept_sinc for score in scores])),
        "contrast_kept": _plain(median([score.kept for score in scores])),
        "within_5_percent_sinc": _plain(proportion(sum(abs(s.kept_sinc - 1) <= KEPT for s in scores), len(scores))),
        "within_5_percent": _plain(proportion(sum(abs(s.kept - 1) <= KEPT for s in scores), len(scores))),
        "vanished": sum(score.kept < 1 - VANISHED for score in scores),
        "appeared": sum(abs(score.appeared) > APPEARED for score in scores),
    }


def _plain(estimate: Estimate) -> dict[str, float | int | None]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(estimate).items()}


def write_enhancement(evaluation: EnhancementEvaluation, out: Path) -> dict[str, Any]:
    """Write evaluation.json, slices.csv and lesions.csv; what evaluation.json holds comes back.

    Raises:
        SettingsError: the folder cannot be written.
    """
    content = summarise(evaluation)
    try:
        (out / "evaluation.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        for name, rows in (("slices.csv", evaluation.slices), ("lesions.csv", evaluation.spots)):
            with (out / name).open("w", newline="", encoding="utf-8") as file:
                if rows:
                    writer = csv.DictWriter(file, asdict(rows[0]))
                    writer.writeheader()
                    writer.writerows(asdict(row) for row in rows)
    except OSError as error:
        raise SettingsError(f"--out {out}: {error.strerror}. Name a folder that can be written.") from error
    return content
