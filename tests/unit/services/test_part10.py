from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread, dcmwrite
from support.ct import as_bytes, tilted_ct

from services.part10 import NotDICOM, from_bytes, from_path


def test_the_data_set_comes_out_byte_for_byte() -> None:
    dataset = tilted_ct()[0]
    whole = as_bytes(dataset)
    bare = BytesIO()
    dcmwrite(bare, dataset, implicit_vr=False, little_endian=True, enforce_file_format=False)

    instance = from_bytes(whole)

    assert instance.sop_class_uid == dataset.SOPClassUID
    assert instance.sop_instance_uid == dataset.SOPInstanceUID
    assert instance.transfer_syntax_uid == dataset.file_meta.TransferSyntaxUID
    assert whole.endswith(instance.load())
    assert instance.load()[:4] == b"\x08\x00\x08\x00"


def test_a_wrong_group_length_does_not_matter() -> None:
    whole = bytearray(as_bytes(tilted_ct()[0]))
    whole[140:144] = (7).to_bytes(4, "little")

    assert from_bytes(bytes(whole)).load() == from_bytes(as_bytes(tilted_ct()[0])).load()


def test_a_long_private_header_in_a_file_is_read(tmp_path: Path) -> None:
    dataset = tilted_ct()[0]
    dataset.file_meta.PrivateInformationCreatorUID = "2.25.1"
    dataset.file_meta.PrivateInformation = b"x" * 100_000
    path = tmp_path / "large"
    path.write_bytes(as_bytes(dataset))

    instance = from_path(path)

    assert instance.sop_instance_uid == dataset.SOPInstanceUID
    assert instance.source == str(path)
    assert path.read_bytes().endswith(instance.load())
    assert dcmread(path).SOPInstanceUID == dataset.SOPInstanceUID


@pytest.mark.parametrize("data", [b"", b"DICM", b"x" * 500, bytes(128) + b"DICM", as_bytes(tilted_ct()[0])[:200]])
def test_other_bytes_are_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)

    with pytest.raises(NotDICOM):
        from_bytes(data)
    with pytest.raises(NotDICOM):
        from_path(path)
