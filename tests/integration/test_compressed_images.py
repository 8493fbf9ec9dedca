"""Images as scanners compress them, compressed here by DCMTK, decode to the pixels they had."""

import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from support.heads import head_instances, small_head
from support.instances import write

from models.dicom import read_series


@pytest.mark.parametrize(
    ("program", "options"),
    [
        ("dcmcjpeg", ["+e1"]),  # JPEG Lossless, first-order prediction: what most CT archives keep
        ("dcmcjpeg", ["+el"]),
        ("dcmcjpls", ["+el"]),
        ("dcmcrle", []),
    ],
)
def test_a_compressed_series_reads_as_the_native_one(program: str, options: list[str], tmp_path: Path) -> None:
    native = head_instances(small_head(("IPH", 60.0)))
    compressed = []
    for index, instance in enumerate(native):
        source, target = write(instance, tmp_path / f"{index}.dcm"), tmp_path / f"{index}-compressed.dcm"
        subprocess.run([f"/usr/bin/{program}", *options, source, target], check=True, timeout=60)
        compressed.append(pydicom.dcmread(target))
    assert compressed[0].file_meta.TransferSyntaxUID.is_compressed
    np.testing.assert_array_equal(read_series(compressed).voxels, read_series(native).voxels)
