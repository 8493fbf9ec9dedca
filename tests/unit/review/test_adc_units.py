"""ADC maps in whatever unit a scanner wrote them: the threshold and the window mean the same."""

import numpy as np
import pytest
from support.mr import Grid, volume

from models.errors import InvalidVolume
from services.review.aligned import ADC_WINDOW, in_units_of_adc
from services.triage.images import keep


@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e-6], ids=["1e-6 mm2/s", "1e-3 mm2/s", "mm2/s"])
def test_values_are_in_one_unit(unit: float) -> None:
    written = volume("ADC", Grid())
    expected = written.voxels.copy()
    written.voxels[:] *= unit
    images = in_units_of_adc(keep(written, "MR"))
    assert np.abs(images.volume.voxels - expected).max() < 0.1
    assert images.window == ADC_WINDOW


def test_what_is_no_adc_map_is_said() -> None:
    strange = volume("ADC", Grid())
    strange.voxels[:] *= 10.0**4.5
    with pytest.raises(InvalidVolume, match="fits no unit of ADC"):
        in_units_of_adc(keep(strange, "MR"))
