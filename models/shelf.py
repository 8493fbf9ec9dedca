"""Models that a site brought itself: NAME/VERSION/model.yaml and weights in one folder, and which version serves.

NAME/standing.yaml holds the latter; it is written as a whole or not at all.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from models.card import read_part
from models.errors import UnwritableOutput

STANDING = "standing.yaml"


class Standing(BaseModel):
    """Which version of a model serves.

    Attributes:
        live: its version; None: the one that ships with Nightjar.
        earlier: what was live before, the latest last.
        shadow: version that answers beside it, unseen; None: none does.
        share: share of studies the shadow sees, 0 to 1.
        canary: share of studies, among those, whose readers see its answer, and the live version answers unseen.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    live: str | None = None
    earlier: tuple[str | None, ...] = ()
    shadow: str | None = None
    share: float = Field(1.0, gt=0, le=1)
    canary: float = Field(0.0, ge=0, le=1)


@dataclass(frozen=True)
class Shelf:
    """A folder of added models."""

    folder: Path

    def names(self) -> list[str]:
        return sorted({path.parent.parent.name for path in self.folder.glob("*/*/model.yaml")})

    def versions(self, name: str) -> list[str]:
        return sorted(path.parent.name for path in (self.folder / name).glob("*/model.yaml"))

    def place(self, name: str, version: str) -> Path:
        """Where a version lies, or would."""
        return self.folder / name / version

    def standing(self, name: str) -> Standing:
        """Which version serves.

        Raises:
            InvalidCard: the file is not what this module writes.
        """
        path = self.folder / name / STANDING
        return read_part(path, Standing, whole="file") if path.exists() else Standing()

    def stand(self, name: str, standing: Standing) -> None:
        """Write which version serves.

        Raises:
            UnwritableOutput: the folder cannot be written.
        """
        content = yaml.safe_dump(standing.model_dump(mode="json"), sort_keys=False)
        folder = self.folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".part", delete=False) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            Path(file.name).replace(folder / STANDING)
        except OSError as error:
            raise UnwritableOutput(
                f"{folder} cannot be written: {error.strerror}. See inference.models_dir."
            ) from error
