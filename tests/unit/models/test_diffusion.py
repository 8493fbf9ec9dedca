"""Of a series that holds b0, shells and directions, a model sees one image a place: b 1000, directions averaged."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from support.diffusion import diffusion
from support.instances import write

from models.dicom import read_folder, read_series
from models.diffusion import b_value_of
from models.errors import InvalidVolume


def test_directions_of_the_shell_near_1000_are_averaged_geometrically() -> None:
    series, number = [], 0
    for place in range(3):
        for b, value in ((0, 900), (995, 100), (1005, 400), (2000, 50), (2000, 50)):
            number += 1
            series.append(diffusion(place, value, number=number, b_value=b))
    volume = read_series(series)
    assert volume.voxels.shape == (3, 4, 4)
    np.testing.assert_allclose(volume.voxels, 200, rtol=1e-5)
    assert volume.sources == ("1.2.3.2", "1.2.3.7", "1.2.3.12")


def test_a_trace_goes_before_its_directions() -> None:
    series = []
    for place in range(2):
        series.append(diffusion(place, 10, number=10 * place + 1, b_value=1000))
        trace = ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]
        series.append(diffusion(place, 70, number=10 * place + 2, b_value=1000, ImageType=trace))
        series.append(diffusion(place, 500, number=10 * place + 3, b_value=None))
    volume = read_series(series)
    assert (volume.voxels == 70).all()
    assert volume.sources == ("1.2.3.2", "1.2.3.12")


def test_a_series_of_one_image_a_place_stays_as_it_is() -> None:
    volume = read_series([diffusion(place, 5, number=place + 1, b_value=0) for place in range(3)])
    assert (volume.voxels == 5).all()


def test_a_shell_that_lacks_a_slice_is_not_taken() -> None:
    series = [diffusion(place, 900, number=place + 1, b_value=0) for place in range(3)]
    series += [diffusion(place, 100, number=10 + place, b_value=1000) for place in range(2)]
    with pytest.raises(InvalidVolume, match="no b-value of 500 or more"):
        read_series(series)


def test_b_values_of_the_vendors() -> None:
    def private(group: int, creator: str, element: int, vr: str, value: object) -> Dataset:
        dataset = Dataset()
        dataset.private_block(group, creator, create=True).add_new(element, vr, value)
        return dataset

    assert b_value_of(private(0x0019, "SIEMENS MR HEADER", 0x0C, "IS", "1000")) == 1000
    assert b_value_of(private(0x0043, "GEMS_PARM_01", 0x39, "IS", ["1000001000", "8", "0", "0"])) == 1000
    assert b_value_of(private(0x0043, "GEMS_PARM_01", 0x39, "UN", b"1000000800\\8\\0\\0")) == 800
    assert b_value_of(private(0x2001, "Philips Imaging DD 001", 0x03, "FL", 1000.0)) == 1000
    assert b_value_of(private(0x0065, "Image Private Header", 0x09, "FD", 929.75)) == 929.75
    assert b_value_of(Dataset()) is None


def test_a_folder_of_several_mr_series_is_refused(tmp_path: Path) -> None:
    for series in (1, 2):
        for place in range(2):
            number = 10 * series + place
            dataset = diffusion(place, 5, number=number, b_value=1000, SeriesInstanceUID=f"1.2.4.{series}")
            write(dataset, tmp_path / f"{number}.dcm")
    with pytest.raises(InvalidVolume, match="holds 2 axial MR series"):
        read_folder(tmp_path, "MR")
