"""DICOMweb served from a real ledger, and the client that others use."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from support.images import analyse, receive
from support.triage import PASSWORD

from models.prediction import Finding, Urgency
from services.context import Context
from services.results import encode
from services.results.gate import place

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from dicomweb_client.api import DICOMwebClient
    from dicomweb_client.session_utils import create_session_from_user_pass

__all__ = ["DICOMwebClient", "answered", "client_of"]


def client_of(url: str, name: str = "ana") -> DICOMwebClient:
    return DICOMwebClient(f"{url}/dicom-web", session=create_session_from_user_pass(name, PASSWORD))


def answered(
    context: Context, datasets: Sequence[Dataset], labels: NDArray[np.uint8], names: dict[str, int], **options: Any
) -> str:
    """A study received, analysed and encoded: series, Segmentation and report are held. Its Study Instance UID.

    Args:
        names: labels of the ICH card that have a finding, with their values.
    """
    study_uid, series_uid = receive(context, datasets)
    ordered = sorted(datasets, key=lambda each: float(each.ImagePositionPatient[2]))
    grid = place(ordered)
    findings = [
        Finding(name, 0.9, grid.measure_ml(labels == value), Urgency.IMMEDIATE, int(labels.any((1, 2)).argmax()))
        for name, value in names.items()
    ]
    encode.run(context, analyse(context, study_uid, series_uid, labels, findings, **options))
    return study_uid
