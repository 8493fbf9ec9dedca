"""One analysis without a server: the implementation of `nightjar predict`."""

import json
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from models.calibration import read_calibration
from models.card import Card, Measure
from models.dicom import read_folder
from models.errors import InvalidVolume, MissingInput, UnwritableOutput
from models.nifti import SourceGrid, grid_of, read_nifti
from models.prediction import Prediction
from models.registry import load_model
from models.volume import Volume

NOTICE = "Prioritisation only. Not for diagnosis."
IMAGE_NOTICE = "To be read beside the acquired series. Not for diagnosis."


def predict(
    model_name: str,
    inputs: Mapping[str | None, Path],
    out: Path,
    *,
    threads: int = 2,
    calibration: Path | None = None,
    method: str | None = None,
) -> dict[str, Any]:
    """Analyse images and write `segmentation.nii.gz`, or of a model that makes images `enhanced.nii.gz`, and
    `findings.json` into `out`.

    Args:
        inputs: a folder of DICOM or a NIfTI by role; the role None stands for a model's only input.
        calibration: the site's calibration file for this model; None: the card's own operating points.
        method: one of those the card knows; None: the model's own.

    Returns:
        What findings.json holds.

    Raises:
        ModelError: the model, its inputs or an image cannot be used; a sentence that names which.
    """
    model = load_model(
        model_name,
        threads=threads,
        calibration=None if calibration is None else read_calibration(calibration),
        method=method,
    )
    wanted = [entry.role for entry in model.card.inputs]
    given = {wanted[0] if role is None else role: path for role, path in inputs.items()}
    unknown = sorted(set(given) - set(wanted))
    if unknown:
        raise MissingInput(f"{model_name} has no input of role {', '.join(unknown)}; it reads {', '.join(wanted)}.")
    missing = model.card.lacks(given)
    if missing:
        some = f"{model.card.fewest} of {', '.join(wanted)}; missing are " if model.card.fewest else "an input of role "
        raise MissingInput(f"{model_name} needs {some}{', '.join(missing)}: --input {missing[0]}=FILE.")
    entries = {entry.role: entry for entry in model.card.inputs}
    images = {
        role: read_image(path, entries[role].modality, any_plane=entries[role].planes == "any")
        for role, path in given.items()
    }
    started = time.monotonic()
    prediction = model.predict({role: volume for role, (volume, _) in images.items()})
    seconds = time.monotonic() - started
    volume, grid = images[model.card.reference_of(given).role]
    report = {
        "notice": NOTICE if prediction.image is None else IMAGE_NOTICE,
        "model": {
            "name": prediction.model.name,
            "version": prediction.model.version,
            "weights_sha256": prediction.model.weights_digest,
        },
        "nightjar": version("nightjar"),
        "labels": {str(label.value): label.name for label in model.card.labels},
        **({} if prediction.image is None else {"image": "enhanced.nii.gz"}),
        **_said(prediction, model.card),
        "grid": _grid(volume),
        "seconds": round(seconds, 2),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        if prediction.image is None:
            grid.write(prediction.segmentation, out / "segmentation.nii.gz")
        else:
            grid.write(prediction.image, out / "enhanced.nii.gz", np.float32)
        (out / "findings.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UnwritableOutput(f"--out {out}: {error.strerror}. Name a folder that can be written.") from error
    return report


def read_image(path: Path, modality: str, *, any_plane: bool = False) -> tuple[Volume, SourceGrid]:
    """A folder of DICOM, or a NIfTI, and the grid that masks go back to.

    Args:
        any_plane: of DICOM, sagittal, coronal and oblique series count as well as axial ones.

    Raises:
        InvalidVolume: there is no such file, or it is no image that can be analysed.
    """
    if not path.exists():
        raise InvalidVolume(f"{path} does not exist.")
    if path.is_dir():
        volume = read_folder(path, modality, any_plane=any_plane)
        return volume, grid_of(volume)
    return read_nifti(path)


def _said(prediction: Prediction, card: Card) -> dict[str, Any]:
    return {
        "findings": [
            {
                "label": finding.label,
                "probability": round(finding.probability, 4),
                "volume_ml": round(finding.volume_ml, 3),
                "volume_range_ml": None
                if finding.volume_range_ml is None
                else [round(limit, 3) for limit in finding.volume_range_ml],
                "abc2_ml": None if finding.abc2_ml is None else round(finding.abc2_ml, 3),
                "urgency": finding.urgency.word,
                "key_slice": finding.key_slice,
            }
            for finding in prediction.findings
        ],
        "measurements": {
            measure.name: _measured(measure, prediction.measurements[measure.name])
            for measure in card.measures
            if measure.name in prediction.measurements
        },
        "urgency": prediction.urgency.word,
        "flag_raised": bool(prediction.findings),
        "probabilities": {label: round(p, 4) for label, p in prediction.probabilities.items()},
        "slice_probabilities": {
            label: [round(float(p), 4) for p in values] for label, values in prediction.slice_probabilities.items()
        },
        "parameters": prediction.parameters,
    }


def _measured(measure: Measure, value: float) -> dict[str, Any]:
    answer = measure.answer(value)
    meaning = {} if answer is None else {"meaning": answer.meaning}
    return {"value": round(value, 3), "unit": measure.unit} | meaning


def _grid(volume: Volume) -> dict[str, Any]:
    """The slices in order; their positions tell the uneven steps that an affine cannot hold."""
    steps = np.diff(volume.offsets_mm)
    return {
        "slices": len(volume.voxels),
        "spacing_mm": list(volume.spacing_mm),
        "even": bool(len(steps) == 0 or np.ptp(steps) < 0.01),
        "positions_mm_lps": volume.positions_mm.round(4).tolist(),
    }
