"""Cases as a BIDS dataset: images, sidecars, masks as derivatives on the images' own grid, participants with splits.

MR follows BIDS 1.10. Head CT follows the extension proposal for CT (BEP024: datatype and suffix `ct`), which validators
do not know yet, so .bidsignore names it. The same cases give the same bytes.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from services.datasets.release.case import Case
from services.datasets.release.entry import (
    SPLITS,
    Entry,
    Plan,
    numbered,
    split_of,
    tsv,
    write_bytes,
    write_json,
    write_text,
)
from services.datasets.release.nifti import image_nifti
from services.datasets.release.provenance import provenance
from services.datasets.release.sidecar import sidecar
from services.review.mask_nifti import write_nifti

BIDS_VERSION: Final = "1.10.0"
DERIVATIVES: Final = Path("derivatives") / "nightjar"


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


def write_bids(folder: Path, cases: Sequence[Case], plan: Plan) -> list[Entry]:
    """Write a whole dataset into an empty folder."""
    entries = [_write_case(folder, case, run, plan) for case, run in numbered(cases, plan.pseudonyms)]
    _write_tables(folder, cases)
    _write_descriptions(folder, plan)
    return entries


def _write_case(folder: Path, case: Case, run: str, plan: Plan) -> Entry:
    below = Path(f"sub-{case.participant}") / f"ses-{case.session}"
    stem = f"sub-{case.participant}_ses-{case.session}"
    images: dict[str, str] = {}
    digests: dict[str, str] = {}
    for image in case.images:
        place = PLACES[image.role]
        file = below / place.datatype / f"{stem}{place.entities}{run}_{place.suffix}.nii.gz"
        images[image.role] = str(file)
        digests[str(file)] = write_bytes(folder / file, image_nifti(image))
        write_json((folder / file).with_suffix("").with_suffix(".json"), sidecar(image))
    grid = PLACES[case.images[0].role]
    mask = DERIVATIVES / below / grid.datatype / f"{stem}{grid.entities}{run}_space-orig_desc-accepted_dseg"
    write_bytes(folder / f"{mask}.nii.gz", write_nifti(case.mask))
    rows = [(entry.value, entry.name, _hex(entry.colour)) for entry in plan.task.labels]
    write_text(folder / f"{mask}.tsv", tsv(("index", "name", "color"), [(0, "background", "#000000"), *rows]))
    told = provenance(case, plan, digests)
    sources = {
        "Sources": [f"bids::{file}" for file in images.values()],
        "SpatialReference": f"bids::{images[case.images[0].role]}",
    }
    write_json(folder / f"{mask}.json", {"Description": told.pop("Description"), **sources, **told})
    return Entry(case.participant, case.session, split_of(case.lots), images, f"{mask}.nii.gz", f"{mask}.json")


def _hex(colour: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)


def _write_tables(folder: Path, cases: Sequence[Case]) -> None:
    people: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        people[case.participant].append(case)
    write_text(
        folder / "participants.tsv",
        tsv(
            ("participant_id", "split"),
            [(f"sub-{name}", split_of(members[0].lots)) for name, members in sorted(people.items())],
        ),
    )
    write_json(
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
        write_text(
            folder / f"sub-{name}" / f"sub-{name}_sessions.tsv",
            tsv(("session_id", "acq_time"), [(f"ses-{session}", at) for session, at in sorted(moments.items())]),
        )


def _moment(case: Case) -> str:
    """When the study was, as moved; n/a where its header did not say."""
    header = case.images[0].header
    day, clock = str(header.get("StudyDate") or ""), str(header.get("StudyTime") or "")[:6]
    if len(day) != 8:
        return "n/a"
    clock = clock.ljust(6, "0")
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}"


def _write_descriptions(folder: Path, plan: Plan) -> None:
    tool = {"Name": "Nightjar", "Version": version("nightjar")}
    write_json(
        folder / "dataset_description.json",
        {"Name": plan.name, "BIDSVersion": BIDS_VERSION, "DatasetType": "raw", "GeneratedBy": [tool]},
    )
    write_json(
        folder / DERIVATIVES / "dataset_description.json",
        {
            "Name": f"{plan.name}: accepted masks",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [tool],
            "SourceDatasets": [{"URL": "../.."}],
        },
    )
    write_text(folder / DERIVATIVES / ".bidsignore", "ct\n")
    write_text(
        folder / "README.md",
        f"# {plan.title}\n\n{plan.task.title}. Images de-identified after PS3.15 Annex E (see each sidecar), dates "
        "moved, faces removed.\nMasks accepted by a reviewer lie in derivatives/nightjar, each with its provenance; "
        "splits by patient in participants.tsv.\nquality.html says what is in it; release.json has a digest of every "
        "file. Not for diagnosis.\n",
    )
    write_text(folder / "CHANGES", f"{plan.number}.0.0 {plan.on.isoformat()}\n  - {plan.task.title}.\n")
    write_text(folder / ".bidsignore", "ct\nrelease.json\ndeidentification.json\nquality.html\n")
