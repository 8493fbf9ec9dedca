"""An expert's label on its way to DICOM: what was drawn, on what, from which answer, and the people behind it."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib.metadata import version
from typing import Any

from pydicom.dataset import Dataset

from models.prediction import ModelIdentity
from services.results.answer import MANUFACTURER, Concept, Label, Predecessor, algorithm_name, number_segments
from services.results.equipment import LONG_STRING
from services.results.uids import ResultUIDs, derive_uid
from services.review.masks import Mask

NOTICE = "Research use only. Expert annotation. Not for diagnosis."
EQUIPMENT = f"{MANUFACTURER} review"

ROLES = {"A": "annotator", "B": "annotator", "reviewer": "reviewer", "arbiter": "arbiter", "reader": "reader"}
"""Of who drew or took it along, by slot; a reader holds none."""


@dataclass(frozen=True, eq=False)
class Correction:
    """An accepted label, or a draft that somebody takes along before anybody accepted it.

    Attributes:
        sources: headers of the images, prepared for writers, in the order of the slices.
        labels: of the task, coded.
        site: where in the body.
        drew: slot and account of who drew.
        accepted_by: None for a draft.
        at: when it was accepted, or taken along; with a time zone.
        model, input_digest: of the answer that it corrects; None and empty where it was drawn on the images alone.
        segmentation, report: the objects that it replaces; None: there is none.
        unchanged: accepted exactly as the model drew it.
    """

    task: str
    sources: tuple[Dataset, ...]
    mask: Mask
    labels: tuple[Label, ...]
    site: Concept
    drew: tuple[tuple[str, str], ...]
    accepted_by: str | None
    at: datetime
    model: ModelIdentity | None
    input_digest: str
    segmentation: Predecessor | None
    report: Predecessor | None
    unchanged: bool = False
    institution: str = ""

    @cached_property
    def segments(self) -> dict[int, Label]:
        """Labels that have voxels, by the number of their segment."""
        return number_segments(self.labels, self.mask.labels)

    @property
    def people(self) -> list[str]:
        """Accounts, each once: who drew first, who accepted last."""
        drew = [account for _, account in self.drew]
        return list(dict.fromkeys([*drew, self.accepted_by] if self.accepted_by else drew))

    @property
    def is_draft(self) -> bool:
        return self.accepted_by is None

    def uid(self, role: str) -> str:
        """The same for the same mask of the same people: a retry writes the same object."""
        names = [f"{slot}={account}" for slot, account in self.drew]
        way = f"accepted={self.accepted_by}" if self.accepted_by else "draft"
        return derive_uid(role, self.task, self.input_digest, self.mask.digest, *names, way)

    def tracking(self, label: str) -> tuple[str, str]:
        """Tracking UID and Tracking ID of a label: the model's own where the finding is the model's, so it goes on."""
        if self.model is not None:
            uids = ResultUIDs(self.input_digest, self.model)
            return uids.tracking(label), f"{algorithm_name(self.model)} {label}"
        series_uid = str(self.sources[0].SeriesInstanceUID)
        return derive_uid("expert-tracking", self.task, series_uid, label), f"{MANUFACTURER} {self.task} {label}"

    def describe_people(self) -> str:
        """Who did what, in one sentence."""
        drew = ", ".join(f"{account} ({ROLES[slot]})" for slot, account in self.drew) or "nobody"
        if self.is_draft:
            return f"Draft, taken along by {drew}; not accepted."
        way = "Accepted unchanged" if self.unchanged else "Corrected" if self.model is not None else "Drawn"
        return f"{way} by {drew}; accepted by {self.accepted_by}."

    def series_description(self, kind: str) -> str:
        """At most 64 characters, the notice among them."""
        state = "draft" if self.is_draft else "corrected" if self.model is not None else "label"
        return f"{MANUFACTURER} {self.task[:16]} {state} {kind}. Not for diagnosis."[:LONG_STRING]

    def equipment(self) -> dict[str, Any]:
        """Arguments about the equipment that every highdicom constructor takes: the review, not the model."""
        own = version("nightjar")
        return {
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": EQUIPMENT,
            "software_versions": [own],
            "device_serial_number": own,
            "institution_name": self.institution[:LONG_STRING] or None,
        }
