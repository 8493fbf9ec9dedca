"""A storage SCP that stands in for the hospital's PACS: takes results, keeps them, refuses what it cannot place."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from types import TracebackType

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
    RLELossless,
    SegmentationStorage,
)
from pynetdicom import AE, evt
from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer

from services.archive_settings import Destination

AE_TITLE = "DEMOPACS"
SUCCESS, CANNOT_UNDERSTAND, NOT_OF_OURS = 0x0000, 0xC000, 0xA900
VERIFICATION = UID("1.2.840.10008.1.1")
LABEL_MAP_SEGMENTATION = UID("1.2.840.10008.5.1.4.1.1.66.7")
SEG_CLASSES = (SegmentationStorage, LABEL_MAP_SEGMENTATION)
SR_CLASSES = (Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage)
_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, JPEG2000Lossless]


@dataclass(frozen=True)
class Received:
    """One result that arrived: kind, and where its Part 10 file lies."""

    kind: str
    study_uid: str
    sop_instance_uid: str
    path: Path


@dataclass
class StandInPacs:
    """Listens on a free loopback port for as long as the `with` lasts.

    Attributes:
        directory: received objects go here, named after their kind and SOP Instance UID.
        knows: whether a study is one of those that were pushed.
    """

    directory: Path
    knows: Callable[[str], bool]
    _received: dict[str, Received] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _server: ThreadedAssociationServer | None = None
    _port: int = 0

    def __enter__(self) -> "StandInPacs":
        self.directory.mkdir(parents=True, exist_ok=True)
        entity = AE(AE_TITLE)
        entity.maximum_pdu_size = 0
        entity.add_supported_context(VERIFICATION)
        for sop_class in (*SEG_CLASSES, *SR_CLASSES, MRImageStorage):
            entity.add_supported_context(sop_class, _SYNTAXES)
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        assert server is not None  # not blocking: it is returned, and bound
        assert server.socket is not None
        self._server, self._port = server, server.socket.getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.shutdown()

    @property
    def destination(self) -> Destination:
        """It, as the settings name it."""
        return Destination(name="demo-pacs", kind="dicom", ae_title=AE_TITLE, host="127.0.0.1", port=self._port)

    def received(self, study_uid: str) -> tuple[Received, ...]:
        """The results that arrived for a study, in order of arrival."""
        with self._lock:
            return tuple(result for result in self._received.values() if result.study_uid == study_uid)

    def _store(self, event: Event) -> int:
        encoded = event.encoded_dataset()
        try:
            ds = dcmread(BytesIO(encoded))
            study_uid, sop_instance_uid, sop_class_uid = ds.StudyInstanceUID, ds.SOPInstanceUID, ds.SOPClassUID
        except (InvalidDicomError, AttributeError, EOFError, ValueError, OSError):
            return CANNOT_UNDERSTAND
        if not (sop_instance_uid.is_valid and self.knows(study_uid)):
            return NOT_OF_OURS
        kind = "seg" if sop_class_uid in SEG_CLASSES else "mr" if sop_class_uid == MRImageStorage else "sr"
        path = self.directory / f"{kind}-{sop_instance_uid}.dcm"
        path.write_bytes(encoded)
        with self._lock:
            self._received[sop_instance_uid] = Received(kind, study_uid, sop_instance_uid, path)
        return SUCCESS
