"""Settings of archives that images are fetched from."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Source(BaseModel):
    """One archive, whose new instances come in as if they had been sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    poll_s: float = Field(2.0, gt=0, description="It is asked so often for what is new, seconds.")
    timeout_s: float = Field(30.0, gt=0, description="Network timeout, seconds.")
