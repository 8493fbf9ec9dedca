"""The calibrations that a site's settings name, checked against the models it serves."""

from models.calibration import ModelCalibration, calibrate_card, read_calibration
from models.errors import ModelError
from models.registry import load_card
from services.errors import SettingsError
from services.settings import InferenceSettings


def read_calibrations(settings: InferenceSettings) -> dict[str, ModelCalibration]:
    """The site's calibrations by model, read here so that replicas on other machines need no file.

    Raises:
        SettingsError: a file cannot be used with what is installed, or two are for one model.
    """
    found: dict[str, ModelCalibration] = {}
    for path in settings.calibrations:
        try:
            calibration = read_calibration(path)
            if calibration.model in settings.models:
                calibrate_card(load_card(calibration.model), calibration)
        except ModelError as error:
            raise SettingsError(f"inference.calibrations: {path}: {error}") from error
        if calibration.model not in settings.models:
            raise SettingsError(f"inference.calibrations: {path} is for {calibration.model}, which is not served.")
        if calibration.model in found:
            raise SettingsError(f"inference.calibrations: two files are for {calibration.model}; leave one.")
        found[calibration.model] = calibration
    return found
