"""Head CTs of several patients and scanners, small and alike but for their names."""

from pydicom.dataset import Dataset
from support.ct import tilted_ct

from services.results.uids import derive_uid

SHAPE = (6, 32, 32)


def scanned_ct(number: int, scanner: str, *, patient: str | None = None) -> list[Dataset]:
    """Study `number`, of a patient of its own unless named, on a scanner of the maker Nordwind."""
    datasets = tilted_ct(shape=SHAPE, gaps_mm=(5.0,) * 5)
    for dataset in datasets:
        dataset.StudyInstanceUID = derive_uid("scanned", str(number))
        dataset.SeriesInstanceUID = derive_uid("scanned", str(number), "series")
        dataset.SOPInstanceUID = derive_uid("scanned", str(number), str(dataset.InstanceNumber))
        dataset.PatientID = dataset.PatientName = patient or f"KANARIENVOGEL-{number}"
        dataset.Manufacturer, dataset.ManufacturerModelName = "Nordwind", scanner
    return datasets
