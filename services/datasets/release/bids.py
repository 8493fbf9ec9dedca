"""Cases as a BIDS dataset: images, sidecars, masks as derivatives on the images' own grid, participants with splits.

MR follows BIDS 1.10. Head CT follows the extension proposal for CT (BEP024: datatype and suffix `ct`), which validators
do not know yet, so .bidsignore names it. The same cases give the same bytes.
"""

import gzip
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from services.datasets.deidentify.pseudonyms import Pseudonyms
from services.datasets.release.case import Case, CaseImage
from services.datasets.release.sidecar import sidecar
from services.review.mask_nifti import write_nifti
from services.review.masks import Grid
from services.review.tasks import Task

BIDS_VERSION: Final = "1.10.0"
SPLITS: Final = (("train", 0.7), ("validation", 0.15), ("test", 0.15))
_RAS_TO_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_DERIVATIVES: Final = Path("derivatives") / "nightjar"


@dataclass(frozen=True)
class Place:
    """Where an image of a role goes: datatype, suffix, and entities between session and suffix."""

    datatype: str
    suffix: str
    entities: str = ""


PLACES: Final = {
    "NCCT": Place("ct", "ct"),
    "DWI": Place("dwi", "trace"),
    "ADC": Place("dwi", "ADC"),
    "FLAIR": Place("anat", "FLAIR"),
    "T1": Place("anat", "T1w"),
    "T1c": Place("anat", "T1w", "_ce-gadolinium"),
    "T2": Place("anat", "T2w"),
}


def split_of(lots: float) -> str:
    """The split of a patient by their lots: the same in every release, whoever else is in it."""
    below = 0.0
    for name, share in SPLITS:
        below += share
        if lots < below:
            return name
    return SPLITS[-1][0]


def write_bids(folder: Path, cases: Sequence[Case], task: Task, name: str, pseudonyms: Pseudonyms) -> dict[str, Any]:
    """Write a whole dataset into an empty folder.

    Returns:
        The release's own description, also written as release.json: counts, and a digest of every file.
    """
    runs: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in sorted(cases, key=lambda case: pseudonyms.uid(case.label.series_uid)):
        runs[case.participant, case.session].append(case)
    for (participant, session), members in sorted(runs.items()):
        for number, case in enumerate(members, 1):
            run = f"_run-{number}" if len(members) > 1 else ""
            _write_case(folder, case, task, f"sub-{participant}_ses-{session}", run, pseudonyms)
    _write_tables(folder, cases)
    _write_descriptions(folder, task, name)
    content = {
        "name": name,
        "task": task.name,
        "key_fingerprint": pseudonyms.fingerprint,
        "cases": len(cases),
        "participants": len({case.participant for case in cases}),
        "splits": dict(sorted(Counter(split_of(case.lots) for case in cases).items())),
        "files": {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    }
    content["release"] = hashlib.sha256(json.dumps(content["files"], sort_keys=True).encode()).hexdigest()[:16]
    _write_json(folder / "release.json", content)
    return content


def _write_case(folder: Path, case: Case, task: Task, stem: str, run: str, pseudonyms: Pseudonyms) -> None:
    below = Path(f"sub-{case.participant}") / f"ses-{case.session}"
    written: dict[str, tuple[str, str]] = {}
    for image in case.images:
        place = PLACES[image.role]
        file = below / place.datatype / f"{stem}{place.entities}{run}_{place.suffix}.nii.gz"
        digest = _write_bytes(folder / file, _image_nifti(image))
        _write_json((folder / file).with_suffix("").with_suffix(".json"), sidecar(image))
        written[image.role] = (str(file), digest)
    grid = PLACES[case.images[0].role]
    mask = _DERIVATIVES / below / grid.datatype / f"{stem}{grid.entities}{run}_space-orig_desc-accepted_dseg"
    _write_bytes(folder / f"{mask}.nii.gz", write_nifti(case.mask))
    rows = [(entry.value, entry.name, "#" + "".join(f"{part:02x}" for part in entry.colour)) for entry in task.labels]
    _write_text(folder / f"{mask}.tsv", _tsv(("index", "name", "color"), [(0, "background", "#000000"), *rows]))
    _write_json(folder / f"{mask}.json", _provenance(case, task, written, pseudonyms))


def _provenance(case: Case, task: Task, written: dict[str, tuple[str, str]], pseudonyms: Pseudonyms) -> dict[str, Any]:
    """Where a mask comes from. Free text and the dates of people's work stay behind: they could lead to the patient."""
    label = case.label
    return {
        "Description": f"{task.title}: label map accepted by a reviewer.",
        "Sources": [f"bids::{file}" for file, _ in written.values()],
        "SpatialReference": f"bids::{written[case.images[0].role][0]}",
        "Manual": not label.unchanged,
        "Labels": {entry.name: entry.meaning for entry in task.labels},
        "VolumesMillilitres": {
            entry.name: round(case.mask.volumes_ml().get(entry.value, 0.0), 3) for entry in task.labels
        },
        "Provenance": {
            "ImageDigests": dict(written.values()),
            "MaskDigest": label.mask_digest,
            "Draft": {"Model": label.model, "Version": label.model_version, "WeightsDigest": label.weights_digest}
            if label.model
            else None,
            "AcceptedUnchanged": label.unchanged,
            "Tool": label.tool,
            "Rounds": label.rounds,
            "People": [
                {"Part": slot, "Person": pseudonyms.person(account), "HandedIn": count}
                for slot, account, count in label.people
            ],
            "AcceptedBy": pseudonyms.person(label.accepted_by),
            "AgreementDice": label.agreement,
            "ImageQuality": [
                {
                    "Person": pseudonyms.person(str(grade["account"])),
                    **{key: grade[key] for key in ("scale", "value", "motion", "metal")},
                }
                for grade in label.quality
            ],
        },
    }


def _image_nifti(image: CaseImage) -> bytes:
    """Voxels in the modality's units, whole numbers where they are whole, on exactly the grid that the mask has."""
    voxels: NDArray[Any] = image.volume.voxels
    whole = np.rint(voxels)
    if np.array_equal(whole, voxels) and np.abs(whole).max() < 2**15:
        voxels = whole.astype(np.int16)
    return nifti_bytes(voxels, image.grid)


def nifti_bytes(voxels: NDArray[Any], grid: Grid) -> bytes:
    """.nii.gz of voxels (slice, row, column); the same voxels and grid give the same bytes."""
    made = nib.nifti1.Nifti1Image(np.ascontiguousarray(voxels.transpose(2, 1, 0)), None)
    made.set_sform(_RAS_TO_LPS @ grid.affine, 1)
    made.set_qform(_RAS_TO_LPS @ grid.upright_affine, 1)
    made.header.set_xyzt_units("mm")
    return gzip.compress(made.to_bytes(), compresslevel=5, mtime=0)


def _write_tables(folder: Path, cases: Sequence[Case]) -> None:
    people: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        people[case.participant].append(case)
    _write_text(
        folder / "participants.tsv",
        _tsv(
            ("participant_id", "split"),
            [(f"sub-{name}", split_of(members[0].lots)) for name, members in sorted(people.items())],
        ),
    )
    _write_json(
        folder / "participants.json",
        {
            "participant_id": {"Description": "Pseudonym under the hospital's key: the same in every release."},
            "split": {
                "Description": "Where the patient belongs; all their studies are in it, in every release.",
                "Levels": {name: f"{share:.0%} of patients, drawn under the key" for name, share in SPLITS},
            },
        },
    )
    for name, members in sorted(people.items()):
        moments = {case.session: _moment(case) for case in members}
        _write_text(
            folder / f"sub-{name}" / f"sub-{name}_sessions.tsv",
            _tsv(("session_id", "acq_time"), [(f"ses-{session}", at) for session, at in sorted(moments.items())]),
        )


def _moment(case: Case) -> str:
    """When the study was, as moved; n/a where its header did not say."""
    header = case.images[0].header
    day, clock = str(header.get("StudyDate") or ""), str(header.get("StudyTime") or "")[:6]
    if len(day) != 8:
        return "n/a"
    clock = clock.ljust(6, "0")
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}"


def _write_descriptions(folder: Path, task: Task, name: str) -> None:
    tool = {"Name": "Nightjar", "Version": version("nightjar")}
    _write_json(
        folder / "dataset_description.json",
        {"Name": name, "BIDSVersion": BIDS_VERSION, "DatasetType": "raw", "GeneratedBy": [tool]},
    )
    _write_json(
        folder / _DERIVATIVES / "dataset_description.json",
        {
            "Name": f"{name}: accepted masks",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [tool],
            "SourceDatasets": [{"URL": "../.."}],
        },
    )
    _write_text(folder / _DERIVATIVES / ".bidsignore", "ct\n")
    _write_text(
        folder / "README.md",
        f"# {name}\n\n{task.title}. Images de-identified after PS3.15 Annex E (see each sidecar), dates moved, faces "
        "removed.\nMasks accepted by a reviewer lie in derivatives/nightjar, each with its provenance; splits by "
        "patient in participants.tsv.\nrelease.json has a digest of every file. Not for diagnosis.\n",
    )
    _write_text(folder / ".bidsignore", "ct\nrelease.json\ndeidentification.json\n")


def _tsv(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    return "".join("\t".join(map(str, row)) + "\n" for row in (header, *rows))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    _write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    _write_bytes(path, text.encode())


def _write_bytes(path: Path, data: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()
