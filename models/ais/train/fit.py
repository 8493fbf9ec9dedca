"""How much an answer of adc620 means: python -m models.ais.train.fit DIR

DIR is what `models.ais.train.heldout --training` wrote. The share of its studies with a core that had a stroke, and
that of those without one, become the rule's two probabilities (with one study of each kind added, for no share is 0 or
1); they go into the rule's file, and its digest into the card.
"""

import argparse
import hashlib
import re
from pathlib import Path

from rich.progress import track

from models.ais.adc620 import find_core, read_numbers
from models.ais.preprocess import prepare
from models.nifti import read_nifti
from models.registry import FOLDER, load_card


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the probabilities of the rule adc620.")
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    folder = FOLDER / "ais"
    rule = folder / load_card("ais").weights.file
    flagged, unflagged, studies = shares(arguments.directory, rule)
    enter(rule, folder / "model.yaml", flagged, unflagged)
    print(f"{studies} studies: a core found means a stroke in {flagged:.3f}, none found in {unflagged:.3f}.")


def shares(directory: Path, rule: Path) -> tuple[float, float, int]:
    """The share of strokes among studies with a core, and among those without; and how many studies."""
    numbers = read_numbers(rule)
    seen = {True: [0, 0], False: [0, 0]}
    folders = sorted((directory / "images").iterdir())
    for folder in track(folders, "Analysing"):
        truth, _ = read_nifti(directory / "truth" / f"{folder.name}.nii.gz")
        dwi, adc = (read_nifti(folder / f"{role}.nii.gz")[0] for role in ("DWI", "ADC"))
        counts = seen[bool(find_core(prepare(dwi, adc), numbers).lesions_ml)]
        counts[0] += bool((truth.voxels > 0).any())
        counts[1] += 1
    flagged, unflagged = ((strokes + 1) / (studies + 2) for strokes, studies in (seen[True], seen[False]))
    return flagged, unflagged, len(folders)


def enter(rule: Path, card: Path, flagged: float, unflagged: float) -> None:
    """Set the probabilities in the rule's file and its digest in the card, leaving all else as it is."""
    text = rule.read_text(encoding="utf-8")
    for name, value in (("flagged", flagged), ("unflagged", unflagged)):
        text = re.sub(rf"^{name}: .*$", f"{name}: {value:.3f}", text, flags=re.MULTILINE)
    rule.write_text(text, encoding="utf-8")
    digest = hashlib.sha256(rule.read_bytes()).hexdigest()
    described = re.sub(r"^(  sha256: ).*$", rf"\g<1>{digest}", card.read_text(encoding="utf-8"), flags=re.MULTILINE)
    card.write_text(described, encoding="utf-8")


if __name__ == "__main__":
    main()
