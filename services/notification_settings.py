"""Where notifications go, and about what: one entry a receiver."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

URGENCIES = {"immediate": 1, "urgent": 2, "standard": 3}

_NEEDED = {"webhook": ("url", "secret"), "email": ("host", "port", "sender", "recipients"), "hl7": ("host", "port")}
_OWN = {
    "webhook": ("url", "secret"),
    "email": ("host", "port", "tls", "username", "password", "sender", "recipients", "language"),
    "hl7": ("host", "port", "sending_facility", "receiving_application", "receiving_facility"),
}
Identifier = Literal["patient_id", "patient_name", "accession_number", "study_uid"]
HL7Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f|^~\\&]{0,180}$")]
MailAddress = Annotated[str, StringConstraints(pattern=r"^[^\s@<>,;\"]+@[^\s@<>,;\"]+$")]


class Notification(BaseModel):
    """One receiver of notifications."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$")] = Field(
        description="Name in the ledger and on pages."
    )
    kind: Literal["webhook", "email", "hl7"] = Field(
        description="Signed HTTP POST, e-mail by SMTP, or HL7 v2 ORU^R01 over MLLP."
    )
    urgency: Literal["immediate", "urgent", "standard"] = Field(
        "urgent", description="Only answers with a flag at least this urgent."
    )
    findings: tuple[str, ...] = Field((), description="Only flags for these labels, such as IPH; none named: any.")
    models: tuple[str, ...] = Field((), description="Only these models; none named: any.")
    include: tuple[Identifier, ...] = Field(
        (), description="What the message may say of the patient and study; nothing unless named here."
    )
    page_url: str | None = Field(
        None, description="Address of these pages as the reader reaches them; the message links to the study."
    )
    url: str | None = Field(None, description="Address that is posted to (webhook).")
    secret: str | None = Field(
        None, min_length=16, repr=False, description="Key of the signature, 16 characters or more (webhook)."
    )
    host: str | None = Field(None, description="Host (email, hl7).")
    port: int | None = Field(None, ge=1, le=65535, description="Port (email, hl7).")
    tls: Literal["starttls", "tls", "none"] = Field("starttls", description="How the connection is protected (email).")
    username: str | None = Field(None, description="SMTP user (email).")
    password: str | None = Field(None, repr=False, description="SMTP password (email).")
    sender: MailAddress | None = Field(None, description="Address the mail comes from (email).")
    recipients: tuple[MailAddress, ...] = Field((), description="Addresses the mail goes to (email).")
    language: Literal["en", "zh-CN"] = Field("en", description="Language of the mail (email).")
    sending_facility: HL7Name = Field("", description="MSH-4 (hl7).")
    receiving_application: HL7Name = Field("", description="MSH-5 (hl7).")
    receiving_facility: HL7Name = Field("", description="MSH-6 (hl7).")
    timeout_s: float = Field(10.0, gt=0, description="Network timeout, seconds.")

    @field_validator("url", "page_url")
    @classmethod
    def _is_web_address(cls, address: str | None) -> str | None:
        if address is not None and not address.startswith(("https://", "http://")):
            raise ValueError("the address begins with https:// or http://")
        return address

    @model_validator(mode="after")
    def _complete(self) -> "Notification":
        missing = [name for name in _NEEDED[self.kind] if not getattr(self, name)]
        if missing:
            raise ValueError(f"a notification of kind {self.kind} needs {' and '.join(missing)}")
        others = {name for own in _OWN.values() for name in own} - {*_OWN[self.kind]}
        fields = type(self).model_fields
        strange = sorted(name for name in others if getattr(self, name) != fields[name].default)
        if strange:
            raise ValueError(f"a notification of kind {self.kind} has no {' and no '.join(strange)}")
        if self.kind == "hl7" and not {"accession_number", "patient_id"} <= {*self.include}:
            raise ValueError("a RIS needs accession number and patient ID: include accession_number and patient_id")
        if self.tls == "none" and self.password is not None:
            raise ValueError("a password needs tls or starttls")
        return self

    def wants(self, model: str, findings: dict[str, int]) -> bool:
        """Whether an answer is to be told here.

        Args:
            findings: urgency of each flag by its label, 1 immediate to 3 standard.
        """
        return (not self.models or model in self.models) and any(
            urgency <= URGENCIES[self.urgency] and (not self.findings or label in self.findings)
            for label, urgency in findings.items()
        )
