"""Pictures of what the model makes: python -m models.enhance.train.pictures FILE ... --out FILE [--fraction 0.67]

A row a whole image (NIfTI), its middle slice, phase axis across: as fewer lines show it, completed, whole, and how far
the first two are from the whole, eight times as strong around grey.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.enhance.acquire import Shortcut, acquire
from models.nifti import read_nifti
from models.phase import PhaseEncoding
from models.registry import load_model

STRONGER = 8
MARGIN = 4
BRIGHTEST = 99.7


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw what the enhancement model makes beside the truth.")
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fraction", type=float, default=0.67, help="share of the phase-encoding lines")
    parser.add_argument("--enlarge", type=int, default=1, help="the middle of the slice so many times as large")
    arguments = parser.parse_args()
    model = load_model("enhance")
    rows = []
    for path in arguments.images:
        whole, _ = read_nifti(path)
        k = len(whole.voxels) // 2
        even = [side - side % 2 for side in whole.voxels.shape[1:]]
        truth = np.maximum(whole.voxels[k, : even[0], : even[1]], 0)
        scanned = acquire(truth, Shortcut(arguments.fraction), np.random.default_rng(0))
        encoding = PhaseEncoding(2, 0.5 * arguments.fraction, 0.5, 0.5)
        one = replace(whole, voxels=scanned[None], positions_mm=whole.positions_mm[k : k + 1], encoding=encoding)
        completed = model.predict({"REDUCED": one}).image
        assert completed is not None
        rows.append(draw(scanned, completed[0], truth, arguments.enlarge))
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, MARGIN), (0, width - row.shape[1])), constant_values=255) for row in rows]
    Image.fromarray(np.concatenate(padded)).save(arguments.out, optimize=True)


def draw(
    scanned: NDArray[np.float32], completed: NDArray[np.float32], truth: NDArray[np.float32], enlarge: int
) -> NDArray[np.uint8]:
    """Five grey pictures side by side."""
    high = float(np.percentile(truth, BRIGHTEST))
    pictures = [image / high for image in (scanned, completed, truth)]
    pictures += [0.5 + STRONGER * (image - truth) / high / 2 for image in (scanned, completed)]
    shown = []
    for picture in pictures:
        grey = np.clip(picture * 255, 0, 255).astype(np.uint8)
        if enlarge > 1:
            rows, columns = (side // enlarge for side in grey.shape)
            top, left = (grey.shape[0] - rows) // 2, (grey.shape[1] - columns) // 2
            middle = Image.fromarray(grey[top : top + rows, left : left + columns])
            grey = np.asarray(middle.resize((columns * enlarge, rows * enlarge), Image.Resampling.LANCZOS))
        shown.append(np.pad(grey, ((0, 0), (0, MARGIN)), constant_values=255))
    return np.concatenate(shown, axis=1)


if __name__ == "__main__":
    main()
