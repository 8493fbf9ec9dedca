"""Pictures of answers beside the truth: python -m models.ich.train.pictures DIR STUDY ... --out FILE

DIR is what `models.ich.train.heldout` wrote. A column a study, the slice where truth and answer show most: the image,
the truth, the answer.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.card import Card
from models.nifti import read_nifti
from models.registry import load_model

WINDOW = (-5.0, 90.0)
SHARE = 0.55
MARGIN = 4


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw answers of the ICH model beside the truth.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("studies", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    model = load_model("ich")
    columns = []
    for study in arguments.studies:
        volume, _ = read_nifti(arguments.directory / "images" / f"{study}.nii.gz")
        truth, _ = read_nifti(arguments.directory / "truth" / f"{study}.nii.gz")
        labels = truth.voxels.astype(np.uint8)
        prediction = model.predict({"NCCT": volume})
        marked = ((labels > 0) | (prediction.segmentation > 0)).sum(axis=(1, 2))
        k = int(marked.argmax()) if marked.any() else len(labels) // 2
        columns.append(draw(volume.voxels[k], [labels[k], prediction.segmentation[k]], model.card))
        found = ", ".join(f"{f.label} {f.volume_ml:.1f} mL ({f.probability:.2f})" for f in prediction.findings)
        there = ", ".join(
            f"{label.name} {volume.measure_ml(labels == label.value):.1f} mL"
            for label in model.card.labels
            if (labels == label.value).any()
        )
        print(f"{study}: truth {there or 'no bleed'}; answer {found or 'no flag'}")
    Image.fromarray(np.concatenate(columns, axis=1)).save(arguments.out, optimize=True)


def draw(hu: NDArray[np.float32], maps: list[NDArray[np.uint8]], card: Card) -> NDArray[np.uint8]:
    """The slice bare, then once with each map in the card's colours; uint8 (rows, columns, 3), one below the other."""
    grey = np.clip((hu - WINDOW[0]) / (WINDOW[1] - WINDOW[0]) * 255, 0, 255)
    bare = np.repeat(grey[..., None], 3, axis=2)
    pictures = [bare]
    for labels in maps:
        picture = bare.copy()
        for label in card.labels:
            where = labels == label.value
            picture[where] = (1 - SHARE) * picture[where] + SHARE * np.array(label.colour)
        pictures.append(picture)
    padded = [np.pad(picture, ((0, MARGIN), (0, MARGIN), (0, 0)), constant_values=255) for picture in pictures]
    return np.concatenate(padded).astype(np.uint8)


if __name__ == "__main__":
    main()
