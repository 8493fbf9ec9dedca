"""Storage Commitment Push Model (PS3.4 J): what is asked, and what a report says, whoever gets it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as ItemSequence
from pydicom.uid import UID

SOP_CLASS, SOP_INSTANCE = UID("1.2.840.10008.1.20.1"), UID("1.2.840.10008.1.20.1.1")
REQUEST_COMMITMENT = 1
"""Action Type ID."""


@dataclass(frozen=True)
class Report:
    """The answer to one transaction.

    Attributes:
        committed: SOP Instance UIDs that are safe there.
        failed: those that are not, with the failure reason.
    """

    transaction_uid: str
    committed: frozenset[str]
    failed: Mapping[str, int]


def request(transaction_uid: str, instances: Iterable[tuple[str, str]]) -> Dataset:
    """Action Information for instances, (SOP Class UID, SOP Instance UID)."""
    dataset = Dataset()
    dataset.TransactionUID = transaction_uid
    items = []
    for sop_class_uid, sop_instance_uid in instances:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
        items.append(item)
    dataset.ReferencedSOPSequence = ItemSequence(items)
    return dataset


def read_report(dataset: Dataset) -> Report:
    """What Event Information says.

    Raises:
        ValueError: it names no transaction.
    """
    transaction_uid = str(dataset.get("TransactionUID", ""))
    if not transaction_uid:
        raise ValueError("the report names no transaction")
    return Report(
        transaction_uid,
        frozenset(str(item.get("ReferencedSOPInstanceUID", "")) for item in dataset.get("ReferencedSOPSequence") or ()),
        {
            str(item.get("ReferencedSOPInstanceUID", "")): int(item.get("FailureReason") or 0)
            for item in dataset.get("FailedSOPSequence") or ()
        },
    )
