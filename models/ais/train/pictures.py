"""Pictures of answers beside the truth: python -m models.ais.train.pictures DIR STUDY ... --out FILE

DIR is what `models.ais.train.heldout` wrote. A column a study, the slice where truth and answer show most: DWI, ADC,
FLAIR, truth (green) and answer (red) on the DWI.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from models.ais.preprocess import prepare
from models.nifti import read_nifti
from models.registry import load_model
from models.resample import resample

SIZE = 220
MARGIN = 4
TRUTH, ANSWER = (60, 210, 90), (240, 70, 60)
BRIGHTEST_ADC = 2200.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw answers of the AIS model beside the truth.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("studies", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    columns = [column(arguments.directory, study) for study in arguments.studies]
    # An octree keeps the outlines' colours, of which there are few pixels.
    whole = Image.fromarray(np.concatenate(columns, axis=1)).quantize(128, Image.Quantize.FASTOCTREE)
    whole.save(arguments.out, optimize=True)


def column(directory: Path, study: str) -> NDArray[np.uint8]:
    """One study's pictures, one below the other; uint8 (rows, columns, 3)."""
    roles = {
        role: read_nifti(path)[0]
        for role in ("DWI", "ADC", "FLAIR")
        if (path := directory / "images" / study / f"{role}.nii.gz").exists()
    }
    truth = read_nifti(directory / "truth" / f"{study}.nii.gz")[0].voxels > 0
    prediction = load_model("ais").predict(roles)
    answer = prediction.segmentation > 0
    dwi = roles["DWI"]
    marked = (truth | answer).sum(axis=(1, 2))
    k = int(marked.argmax()) if marked.any() else len(truth) // 2
    print(f"{study}: truth {dwi.measure_ml(truth):.1f} mL, answer {dwi.measure_ml(answer):.1f} mL")
    images = prepare(dwi, roles["ADC"])
    pictures = [_grey(dwi.voxels[k], float(np.percentile(dwi.voxels, 99.8))), _grey(images.adc[k], BRIGHTEST_ADC)]
    if "FLAIR" in roles:
        flair = resample(roles["FLAIR"], dwi)
        pictures.append(_grey(flair[k], float(np.percentile(flair, 99.8))))
    outlined = pictures[0].copy()
    for mask, colour in ((truth[k], TRUTH), (answer[k], ANSWER)):
        inside = np.asarray(Image.fromarray(mask).resize((SIZE, SIZE), Image.Resampling.NEAREST)) > 0
        outlined[inside & ~ndimage.binary_erosion(inside)] = colour
    pad = ((0, MARGIN), (0, MARGIN), (0, 0))
    return np.concatenate([np.pad(picture, pad, constant_values=255) for picture in (*pictures, outlined)])


def _grey(plane: NDArray[np.float32], brightest: float) -> NDArray[np.uint8]:
    grey = Image.fromarray(np.clip(plane / max(brightest, 1e-6) * 255, 0, 255).astype(np.uint8))
    return np.repeat(np.asarray(grey.resize((SIZE, SIZE), Image.Resampling.BILINEAR))[..., None], 3, axis=2)


if __name__ == "__main__":
    main()
