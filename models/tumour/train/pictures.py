"""Pictures of answers beside the truth: python -m models.tumour.train.pictures DIR STUDY [STUDY ...] --out FILE.png

DIR is what models.tumour.train.heldout wrote. A row a study, in the slice with most tumour: T1, T1c, T2 and FLAIR as
registered, the truth, the answer. Green is oedema, yellow non-enhancing tumour, red what enhances.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.nifti import read_nifti
from models.registry import load_model
from models.tumour.network import ROLES
from models.tumour.preprocess import prepare

SIZE, MARGIN = 190, 4
SHOWN = ("T1", "T1c", "T2", "FLAIR")
Plane = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw answers of the tumour model beside the truth.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("studies", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    rows = [row(arguments.directory, study) for study in arguments.studies]
    Image.fromarray(np.concatenate(rows)).quantize(128).save(arguments.out, optimize=True)


def row(directory: Path, study: str) -> Plane:
    """One study's pictures side by side; uint8 (rows, columns, 3)."""
    inputs = {role: read_nifti(directory / "images" / study / f"{role}.nii.gz")[0] for role in ROLES}
    truth = read_nifti(directory / "truth" / f"{study}.nii.gz")[0].voxels.astype(np.uint8)
    model = load_model("tumour")
    answer = model.predict(inputs).segmentation
    sequences = prepare(inputs)
    marked = ((truth > 0).astype(int) + (answer > 0)).sum(axis=(1, 2))
    k = int(marked.argmax()) if marked.any() else len(truth) // 2
    print(f"{study}: truth {sequences.volume.measure_ml(truth > 0):.1f} mL, "
          f"answer {sequences.volume.measure_ml(answer > 0):.1f} mL")  # fmt: skip
    grey = {role: _grey(image.voxels[k]) for role, image in sequences.images.items()}
    colours = {label.value: label.colour for label in model.card.labels}
    pictures = [grey[role] for role in SHOWN]
    pictures += [_coloured(grey["FLAIR"], labels[k], colours) for labels in (truth, answer)]
    pad = ((0, MARGIN), (0, MARGIN), (0, 0))
    return np.concatenate([np.pad(picture, pad, constant_values=255) for picture in pictures], axis=1)


def _grey(plane: NDArray[np.float32]) -> Plane:
    brightest = max(float(np.percentile(plane, 99.5)), 1e-6)
    grey = Image.fromarray(np.clip(plane / brightest * 255, 0, 255).astype(np.uint8))
    return np.repeat(np.asarray(grey.resize((SIZE, SIZE), Image.Resampling.BILINEAR))[..., None], 3, axis=2)


def _coloured(grey: Plane, labels: Plane, colours: dict[int, tuple[int, int, int]]) -> Plane:
    drawn = np.asarray(Image.fromarray(labels).resize((SIZE, SIZE), Image.Resampling.NEAREST))
    result = (grey * 0.6).astype(np.uint8)
    for value, colour in colours.items():
        result[drawn == value] = colour
    return result


if __name__ == "__main__":
    main()
