"""UIDs of what Nightjar writes, derived instead of drawn: the same answer to the same input is the same object.

Every UID is a UUID under the root 2.25 (PS3.5 B.2), made from the SHA-256 of its role and what it stands for
(RFC 9562, version 8). So a retry repeats itself, and a destination recognises what it already has.
"""

import hashlib
from dataclasses import dataclass
from uuid import UUID

from models.prediction import ModelIdentity

_VERSION_8 = 0x8000 << 64
_RFC_VARIANT = 0x8000 << 48


@dataclass(frozen=True)
class ResultUIDs:
    """One function per UID role for one model's answer to one input.

    Attributes:
        input_digest: SHA-256 over the instances analysed.
        model: which weights answered.
    """

    input_digest: str
    model: ModelIdentity

    def segmentation_instance(self) -> str:
        return self._derive("segmentation-instance")

    def segmentation_series(self) -> str:
        return self._derive("segmentation-series")

    def dimension_organization(self) -> str:
        return self._derive("dimension-organization")

    def report_instance(self) -> str:
        return self._derive("report-instance")

    def report_series(self) -> str:
        return self._derive("report-series")

    def capture_instance(self, index: int) -> str:
        """Of the picture of slice `index`, 0-based in the order of the sources."""
        return self._derive("capture-instance", str(index))

    def capture_series(self) -> str:
        return self._derive("capture-series")

    def enhanced_instance(self, source_uid: str, finer: int = 1, frame: int | None = None) -> str:
        """Of the image made from an instance, or from a frame or tile of it, on a grid so many times as fine."""
        source = (source_uid,) if frame is None else (source_uid, f"frame {frame}")
        return self._derive("enhanced-instance", *source, *_unless_one(finer))

    def enhanced_series(self, finer: int = 1) -> str:
        return self._derive("enhanced-series", *_unless_one(finer))

    def tracking(self, label: str) -> str:
        """Tracking UID of the finding `label`: the same in the segmentation and in the report."""
        return self._derive("tracking", label)

    def _derive(self, role: str, *parts: str) -> str:
        model = self.model
        return derive_uid(role, self.input_digest, model.name, model.version, model.weights_digest, *parts)


def _unless_one(finer: int) -> tuple[str, ...]:
    return () if finer == 1 else (str(finer),)


def device_uid(model: ModelIdentity) -> str:
    """UID of the observer: one model version is one device."""
    return derive_uid("device", model.name, model.version, model.weights_digest)


def derive_uid(role: str, *parts: str) -> str:
    """A UID that depends on the role and every part, and on where one part ends and the next begins."""
    digest = hashlib.sha256()
    for part in ("nightjar", role, *parts):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    number = int.from_bytes(digest.digest()[:16], "big")
    number &= ~(0xF000 << 64) & ~(0xC000 << 48)
    return f"2.25.{UUID(int=number | _VERSION_8 | _RFC_VARIANT).int}"
