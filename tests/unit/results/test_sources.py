from datetime import UTC, datetime

import pytest
from support.ct import tilted_ct

from services.results.sources import for_writer, local_time, prepare_header, with_thickness


def test_what_a_scanner_left_out_is_empty_and_pixels_are_gone() -> None:
    dataset = tilted_ct()[0]
    del dataset.PatientBirthDate
    del dataset.AccessionNumber
    dataset.PatientSex = "UNKNOWN"

    header = prepare_header(dataset)

    assert (header.PatientBirthDate, header.AccessionNumber, header.PatientSex) == ("", "", "")
    assert header.PatientID == dataset.PatientID
    assert "PixelData" not in header
    assert "PixelData" in dataset
    assert dataset.PatientSex == "UNKNOWN"


def test_a_missing_thickness_is_the_usual_gap_across_the_slices() -> None:
    datasets = tilted_ct(gaps_mm=(5.0,) * 9, tilt_deg=20.0)
    datasets[3].SliceThickness = None

    headers = with_thickness([prepare_header(dataset) for dataset in datasets])

    assert float(headers[3].SliceThickness) == pytest.approx(5.0 * 0.9396926, rel=1e-4)
    assert float(headers[0].SliceThickness) == 2.5


@pytest.mark.parametrize(("offset", "hour"), [("+0530", 8), ("-0300", 0), ("+0000", 3)])
def test_time_follows_the_study(offset: str, hour: int) -> None:
    dataset = tilted_ct()[0]
    dataset.TimezoneOffsetFromUTC = offset

    assert local_time(datetime(2026, 1, 2, 3, 4, tzinfo=UTC), dataset).hour == hour


def test_copies_leave_their_sources_alone() -> None:
    headers = [prepare_header(dataset) for dataset in tilted_ct()]
    headers[0].SliceThickness = ""

    plain, complete = for_writer(headers), with_thickness(headers)

    assert (plain[0].PatientName, float(complete[0].SliceThickness)) == ("", pytest.approx(4.64679))
    assert str(headers[0].PatientName) == "Demo^Tilted"
    assert not headers[0].SliceThickness
