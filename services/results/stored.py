"""A written object put into the store, with the row that the ledger keeps of it."""

from pydicom.dataset import Dataset

from services.ledger.results import NewResult
from services.storage import Store

_COUNTS = ("InstanceNumber", "NumberOfFrames", "Rows", "Columns")


def keep(store: Store, kind: str, dataset: Dataset, data: bytes) -> NewResult:
    """Store the Part 10 bytes of an object durably; its row, not written yet."""
    return NewResult(
        kind=kind,
        sop_class_uid=dataset.SOPClassUID,
        sop_instance_uid=dataset.SOPInstanceUID,
        series_uid=dataset.SeriesInstanceUID,
        digest=store.put(data),
        size_bytes=len(data),
        transfer_syntax_uid=dataset.file_meta.TransferSyntaxUID,
        modality=dataset.Modality,
        series_number=int(dataset.SeriesNumber),
        series_description=dataset.SeriesDescription,
        attributes={keyword: int(dataset[keyword].value) for keyword in _COUNTS if keyword in dataset},
    )
