"""Settings of object stores (S3)."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

BucketName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]


class S3Connection(BaseModel):
    """How an object store is reached."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^@\s]+$",
        description="Address of the object store such as https://s3.hospital.example; without one, what "
        "AWS_ENDPOINT_URL names, or Amazon's.",
    )
    region: str = Field("us-east-1", description="Its region; most stores of a hospital's own take any.")
    access_key: str | None = Field(
        None, description="Access key; without one, what AWS's own variables, files or a pod's role give."
    )
    secret: str | None = Field(None, repr=False, description="Its secret; better given by environment.")
    path_style: bool = Field(True, description="The bucket stands in the path, not in the host name.")
    authorities: Path | None = Field(
        None, description="Certificates (PEM) of which one signed the store's; without it, those of the system."
    )
    timeout_s: float = Field(10.0, gt=0, description="The store answers within so long or is asked once more, seconds.")

    @model_validator(mode="after")
    def _both(self) -> "S3Connection":
        if (self.access_key is None) != (self.secret is None):
            raise ValueError("access_key and secret go together")
        return self


class S3Settings(S3Connection):
    bucket: BucketName = Field(description="Bucket of instance bytes.")
    prefix: str = Field(
        "",
        pattern=r"^([A-Za-z0-9._-]+/)*$",
        description="What every key in the bucket begins with, such as nightjar/.",
    )
