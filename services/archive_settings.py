"""Settings of archives: where images are fetched from, where results go, and what everything is compared with."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from services.setting_types import AETitle, Port, Seconds, Section


class Source(Section):
    """One archive, whose new instances come in as if they had been sent."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,16}$")] = Field(
        description="Name in the ledger, on pages and as the sending AE of routing rules."
    )
    kind: Literal["orthanc"] = Field("orthanc", description="An Orthanc, followed by its REST API.")
    url: str = Field(pattern=r"^https?://[^@\s]+$", description="Base URL.")
    username: str | None = Field(None, description="HTTP user.")
    password: str | None = Field(None, repr=False, description="HTTP password; better given by environment.")
    modalities: tuple[str, ...] = Field(
        ("CT", "MR", "SEG"), description="Series of these are fetched; SEG, for it may correct an answer."
    )
    from_start: bool = Field(
        False, description="Fetch what it held before it was first followed as well: its whole archive."
    )
    poll_s: Seconds = Field(2.0, description="It is asked so often for what is new, seconds.")
    timeout_s: Seconds = Field(30.0, description="Network timeout, seconds.")


ResultKind = Literal["seg", "sr", "sc", "mr"]


class Destination(Section):
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$")] = Field(
        description="Name in the ledger and on pages."
    )
    kind: Literal["dicom", "stow", "orthanc"] = Field(
        "dicom", description="C-STORE to an AE, STOW-RS, or Orthanc's REST API."
    )
    ae_title: AETitle | None = Field(None, description="Called AE title (dicom).")
    host: str | None = Field(None, description="Host (dicom).")
    port: Port | None = Field(None, description="Port (dicom).")
    url: str | None = Field(None, description="Base URL (stow: that of DICOMweb; orthanc).")
    username: str | None = Field(None, description="HTTP user (stow, orthanc).")
    password: str | None = Field(
        None, repr=False, description="HTTP password (stow, orthanc); better given by environment."
    )
    results: tuple[ResultKind, ...] = Field(
        ("seg", "sr", "mr"),
        description="What it gets: segmentation, report, secondary captures (pictures with outlines), derived series.",
    )
    commitment: bool = Field(
        False,
        description="A result counts as delivered only once the archive committed to keep it: storage commitment "
        "(dicom); see docs/results.md.",
    )
    timeout_s: Seconds = Field(30.0, description="Network timeout, seconds.")

    @model_validator(mode="after")
    def _complete(self) -> "Destination":
        needed = ("ae_title", "host", "port") if self.kind == "dicom" else ("url",)
        missing = [name for name in needed if getattr(self, name) is None]
        if missing:
            raise ValueError(f"a destination of kind {self.kind} needs {' and '.join(missing)}")
        if self.commitment and self.kind != "dicom":
            raise ValueError("storage commitment is for destinations of kind dicom")
        return self


class ArchiveSettings(Section):
    ae_title: AETitle = Field(description="AE title of the PACS that `nightjar reconcile` asks (C-FIND, C-MOVE).")
    host: str = Field(description="Its host.")
    port: Port = Field(description="Its port.")
    modalities: tuple[str, ...] = Field(
        ("CT", "MR"),
        description="Series of these in the PACS are expected here as well; of others only those that came in part.",
    )
    destination: str | None = Field(
        None, description="Name of the destination that leads there: what it took is expected in the PACS."
    )
    timeout_s: Seconds = Field(30.0, description="Network timeout, seconds.")
