from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from support.instances import ct, data_set_of, encoded

from dicom_router.part10 import part10


def test_pydicom_reads_it_and_the_data_set_is_untouched() -> None:
    dataset = ct()
    data_set = encoded(dataset)
    file = part10(dataset.SOPClassUID, dataset.SOPInstanceUID, "1.2.840.10008.1.2.1", data_set)
    assert file[:128] == bytes(128)
    read = dcmread(BytesIO(file))
    assert read == dataset
    assert read.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert read.file_meta.FileMetaInformationGroupLength == len(file) - 144 - len(data_set)
    assert data_set_of(file) == data_set


@given(st.text(max_size=80), st.text(max_size=80), st.binary(max_size=50))
def test_any_claim_of_a_sender_can_be_written(sop_class_uid: str, sop_instance_uid: str, data_set: bytes) -> None:
    file = part10(sop_class_uid, sop_instance_uid, "1.2.840.10008.1.2.1", data_set)
    assert data_set_of(file) == data_set
