"""Cases as DICOM: the de-identified objects as they are, and each mask as a Segmentation that refers to them."""

from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from highdicom.sr.coding import CodedConcept
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from models.card import Code
from models.errors import InvalidCard
from models.registry import load_card
from services.datasets.deidentify.faces import geometry_of
from services.datasets.release.case import Case, CaseImage
from services.datasets.release.entry import Entry, Plan, numbered, split_of, write_json
from services.datasets.release.provenance import provenance
from services.datasets.release.sidecar import sidecar
from services.review.tasks import Task, TaskLabel

MANUFACTURER: Final = "Nightjar"
SERIES_NUMBER: Final = 9102
_LESION: Final = Code(value="52988006", meaning="Lesion")
_OF_PATIENT_AND_STUDY: Final = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
"""Empty where a scanner left them out: a Segmentation has to have them."""
_KEPT: Final = (
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
)


def write_objects(folder: Path, cases: Sequence[Case], plan: Plan) -> list[Entry]:
    """PATIENT/STUDY/SEQUENCE/*.dcm and PATIENT/STUDY/SEQUENCE_accepted_seg.dcm; a mask of nothing has none."""
    labels = _coded(plan.task)
    return [_write_case(folder, case, run, plan, labels) for case, run in numbered(cases, plan.pseudonyms)]


def _write_case(folder: Path, case: Case, run: str, plan: Plan, labels: Sequence[tuple[TaskLabel, Code]]) -> Entry:
    below = Path(case.participant) / case.session
    images: dict[str, str] = {}
    digests: dict[str, str] = {}
    first: list[Path] = []
    for image in case.images:
        images[image.role] = str(below / f"{image.role}{run}")
        paths = _write_instances(folder, images[image.role], image)
        digests |= {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in paths}
        first = first or paths
    stem = f"{images[case.images[0].role]}_accepted"
    mask = ""
    if np.any(case.mask.labels):
        mask = f"{stem}_seg.dcm"
        _segmentation(case, plan, labels, first).save_as(folder / mask, enforce_file_format=True)
    told = {**provenance(case, plan, digests), "Images": {image.role: sidecar(image) for image in case.images}}
    write_json(folder / f"{stem}.json", told)
    return Entry(case.participant, case.session, split_of(case.lots), images, mask, f"{stem}.json")


def _write_instances(folder: Path, place: str, image: CaseImage) -> list[Path]:
    """The objects of a series, those of its volume first and in its order."""
    order = {uid: number for number, uid in enumerate(image.volume.sources)}
    found = []
    for path in image.instances:
        assert isinstance(path, Path)
        found.append((str(pydicom.dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID), path))
    found.sort(key=lambda each: (order.get(each[0], len(order)), each[0]))
    (folder / place).mkdir(parents=True)
    return [path.rename(folder / place / f"{number:04d}.dcm") for number, (_, path) in enumerate(found, 1)]


def _segmentation(
    case: Case, plan: Plan, labels: Sequence[tuple[TaskLabel, Code]], instances: Sequence[Path]
) -> Segmentation:
    """The mask on the frames it was drawn on; nothing in it is of today, so that it comes out the same again."""
    image, label = case.images[0], case.label

    def uid(role: str) -> str:
        return plan.pseudonyms.uid(f"{label.mask_digest} {role}")

    wanted = set(image.volume.sources)
    sources = [dataset for dataset in map(pydicom.dcmread, instances) if dataset.SOPInstanceUID in wanted]
    for source in sources:
        source.FrameOfReferenceUID = source.get("FrameOfReferenceUID") or uid("frame")
        for keyword in _OF_PATIENT_AND_STUDY:
            setattr(source, keyword, source.get(keyword) or "")
        source.PatientName = f"{case.participant}^"  # one component, and meant so
    present = {int(value) for value in np.unique(case.mask.labels)}
    numbers = {entry.value: number for number, entry in enumerate((e for e, _ in labels if e.value in present), 1)}
    table = np.zeros(256, np.uint8)
    for value, number in numbers.items():
        table[value] = number

    with disable_value_validation():
        made = Segmentation(
            source_images=sources,
            pixel_array=_by_frame(sources, table[case.mask.labels], image),
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=[
                _describe(case, numbers[entry.value], entry, code, uid(f"tracking {entry.name}"))
                for entry, code in labels
                if entry.value in numbers
            ],
            series_instance_uid=uid("series"),
            series_number=SERIES_NUMBER,
            sop_instance_uid=uid("instance"),
            instance_number=1,
            manufacturer=MANUFACTURER,
            manufacturer_model_name=MANUFACTURER,
            software_versions=version("nightjar"),
            device_serial_number=plan.pseudonyms.fingerprint,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            omit_empty_frames=True,
            content_label="ACCEPTED",
            content_description="Accepted by a reviewer. Not for diagnosis.",
            content_creator_name=f"{plan.pseudonyms.person(label.accepted_by)}^",
            series_description=f"{plan.task.name[:20]} accepted. Not for diagnosis.",
        )
    made.DimensionOrganizationSequence[0].DimensionOrganizationUID = uid("dimensions")
    for index in made.DimensionIndexSequence:
        index.DimensionOrganizationUID = uid("dimensions")
    for kind in ("Date", "Time"):
        for keyword in ("InstanceCreation", "Content", "Series"):
            setattr(made, f"{keyword}{kind}", getattr(sources[0], f"Study{kind}", "") or "")
    for item in made.get("ContributingEquipmentSequence") or ():
        del item.ContributionDateTime
    made.PatientName = case.participant
    for keyword in _KEPT:
        setattr(made, keyword, sources[0][keyword].value)
    return made


def _by_frame(sources: Sequence[Dataset], numbers: Any, image: CaseImage) -> Any:
    """Segment numbers in the order of the sources' frames; a classic series is in the volume's order already."""
    count = int(sources[0].get("NumberOfFrames") or 1)
    if len(sources) > 1 or count == 1:
        return numbers
    placed = np.zeros((count, *numbers.shape[1:]), np.uint8)
    positions = np.array([geometry_of(sources[0], frame)[0] for frame in range(count)])
    for plane, position in zip(numbers, image.grid.positions_mm, strict=True):
        placed[int(np.linalg.norm(positions - position, axis=1).argmin())] = plane
    return placed


def _describe(case: Case, number: int, entry: TaskLabel, code: Code, tracking_uid: str) -> SegmentDescription:
    label = case.label
    drawn_on = (
        AlgorithmIdentificationSequence(
            name=label.model, family=codes.DCM.ArtificialIntelligence, version=label.model_version or ""
        )
        if label.model
        else None
    )
    return SegmentDescription(
        segment_number=number,
        segment_label=entry.name,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=CodedConcept(code.value, code.scheme, code.meaning),
        algorithm_type=SegmentAlgorithmTypeValues.SEMIAUTOMATIC if drawn_on else SegmentAlgorithmTypeValues.MANUAL,
        algorithm_identification=drawn_on,
        tracking_uid=tracking_uid,
        tracking_id=f"{case.participant} {entry.name}",
        display_color=CIELabColor.from_rgb(*entry.colour),
    )


def _coded(task: Task) -> list[tuple[TaskLabel, Code]]:
    """The task's labels, coded as in its model's card."""
    try:
        known = {label.name: label.code for label in load_card(task.model).labels} if task.model else {}
    except InvalidCard:
        known = {}
    return [(entry, known.get(entry.name, _LESION)) for entry in task.labels]
