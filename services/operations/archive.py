"""The PACS as a witness: what it holds of a study (C-FIND), and asking it to send again (C-MOVE); PS3.4 C."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association

from services.archive_settings import ArchiveSettings
from services.errors import NightjarError

STUDY_ROOT_FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
STUDY_ROOT_MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
SUCCESS, PENDING = 0x0000, (0xFF00, 0xFF01)
TRIES = 2
"""pynetdicom's reactor now and then takes a response before the caller sees it; so a query is repeated."""


class ArchiveError(NightjarError):
    """The PACS did not answer, or refused to."""


class _NoAnswer(Exception):
    """An association was lost in the middle of a query."""


@dataclass(frozen=True)
class HeldSeries:
    """One series as the PACS lists it."""

    study_uid: str
    series_uid: str
    modality: str
    instances: frozenset[str]


class Archive:
    """Queries to one PACS.

    Args:
        calling_ae: our own title: the one we ask under, and the one the PACS sends to.
    """

    def __init__(self, settings: ArchiveSettings, calling_ae: str) -> None:
        self._settings, self._calling_ae = settings, calling_ae

    def studies(self, first: date, last: date) -> list[str]:
        """Study Instance UIDs of the studies dated from `first` to `last`, both included.

        Raises:
            ArchiveError
        """
        query = _query("STUDY", StudyDate=f"{first:%Y%m%d}-{last:%Y%m%d}", StudyInstanceUID="")
        return [answer.StudyInstanceUID for answer in self._find(query)]

    def series(self, study_uid: str) -> list[HeldSeries]:
        """What the PACS holds of a study; nothing when it does not know it.

        Raises:
            ArchiveError
        """
        listed = self._find(_query("SERIES", StudyInstanceUID=study_uid, SeriesInstanceUID="", Modality=""))
        return [
            HeldSeries(
                study_uid,
                answer.SeriesInstanceUID,
                str(answer.get("Modality", "")),
                frozenset(
                    str(image.SOPInstanceUID)
                    for image in self._find(
                        _query(
                            "IMAGE",
                            StudyInstanceUID=study_uid,
                            SeriesInstanceUID=answer.SeriesInstanceUID,
                            SOPInstanceUID="",
                        )
                    )
                ),
            )
            for answer in listed
        ]

    def send_again(self, study_uid: str, series_uid: str) -> None:
        """Have the PACS send a series to our listener.

        Raises:
            ArchiveError
        """
        query = _query("SERIES", StudyInstanceUID=study_uid, SeriesInstanceUID=series_uid)
        with self._associate(STUDY_ROOT_MOVE) as association:
            status = None
            for answer, _ in association.send_c_move(query, self._calling_ae, STUDY_ROOT_MOVE):
                status = answer.get("Status")
            if status != SUCCESS:
                raise ArchiveError(f"{self} did not send a series to {self._calling_ae} ({_said(status)}).")

    def _find(self, query: Dataset) -> list[Dataset]:
        for _ in range(TRIES):
            try:
                with self._associate(STUDY_ROOT_FIND) as association:
                    return _answers(association, query, str(self))
            except _NoAnswer:
                continue
        raise ArchiveError(f"{self} ended the association without an answer to C-FIND.")

    @contextmanager
    def _associate(self, sop_class: UID) -> Iterator[Association]:
        entity = AE(self._calling_ae)
        entity.acse_timeout = entity.dimse_timeout = entity.connection_timeout = self._settings.timeout_s
        entity.network_timeout = None
        entity.add_requested_context(sop_class)
        association = entity.associate(self._settings.host, self._settings.port, ae_title=self._settings.ae_title)
        if not association.is_established:
            raise ArchiveError(f"{self} does not answer, or does not accept {sop_class.name} from {self._calling_ae}.")
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def __str__(self) -> str:
        return f"{self._settings.ae_title}@{self._settings.host}:{self._settings.port}"


def _query(level: str, **keys: str) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    return query


def _answers(association: Association, query: Dataset, peer: str) -> list[Dataset]:
    found = []
    for answer, identifier in association.send_c_find(query, STUDY_ROOT_FIND):
        status = answer.get("Status")
        if status is None:
            raise _NoAnswer
        if status in PENDING:
            if identifier is not None:
                found.append(identifier)
        elif status != SUCCESS:
            raise ArchiveError(f"{peer} refused a C-FIND ({_said(status)}).")
    return found


def _said(status: int | None) -> str:
    return "no answer" if status is None else f"status 0x{status:04X}"
