"""What every object Nightjar writes says about where it comes from and when, so that a retry writes the same bytes."""

from datetime import datetime
from importlib.metadata import version
from io import BytesIO
from typing import Any

from highdicom import AlgorithmIdentificationSequence
from highdicom.sr import CodedConcept
from pydicom import dcmwrite
from pydicom.dataset import Dataset

from models.prediction import ModelIdentity
from services.results.answer import MANUFACTURER, NOTICE, Answer, Concept, algorithm_name
from services.results.sources import local_time

LONG_STRING = 64  # characters of an LO (PS3.5 6.2)


def coded(concept: Concept) -> CodedConcept:
    return CodedConcept(concept.value, concept.scheme, concept.meaning)


ARTIFICIAL_INTELLIGENCE = CodedConcept("123110", "DCM", "Artificial Intelligence")


def algorithm_identification(model: ModelIdentity, parameters: dict[str, str]) -> AlgorithmIdentificationSequence:
    """Name, version, parameters and weights digest (PS3.3 10.16)."""
    return AlgorithmIdentificationSequence(
        name=algorithm_name(model)[:LONG_STRING],
        family=ARTIFICIAL_INTELLIGENCE,
        version=model.version[:LONG_STRING],
        source=MANUFACTURER,
        parameters=parameters,
    )


def equipment(answer: Answer) -> dict[str, Any]:
    """Arguments about the equipment that every highdicom constructor takes."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": answer.algorithm_name[:LONG_STRING],
        "software_versions": [version("nightjar"), answer.model.version[:LONG_STRING]],
        "device_serial_number": answer.model.weights_digest[:16],
        "institution_name": answer.institution[:LONG_STRING] or None,
    }


def series_description(answer: Answer, kind: str) -> str:
    """At most 64 characters, and none of them at the cost of the notice."""
    return f"{MANUFACTURER} {answer.model.name[:10]} {kind}. {NOTICE.removeprefix('Research use only. ')}"


def complete(dataset: Dataset, source: Dataset, moment: datetime) -> None:
    """Give back name and character set as the source has them, and date the object by what it says, not by the clock.

    Dates and times are in the time zone of the study.
    """
    dataset.PatientName = source.PatientName
    if "SpecificCharacterSet" in source:
        dataset.SpecificCharacterSet = source.SpecificCharacterSet
    local = local_time(moment, source)
    date, time = local.strftime("%Y%m%d"), local.strftime("%H%M%S.%f")
    dataset.InstanceCreationDate = dataset.ContentDate = dataset.SeriesDate = date
    dataset.InstanceCreationTime = dataset.ContentTime = dataset.SeriesTime = time
    if "TimezoneOffsetFromUTC" in source:
        dataset.TimezoneOffsetFromUTC = source.TimezoneOffsetFromUTC
    # highdicom's own item, the last one, is dated by the clock.
    dataset.ContributingEquipmentSequence[-1].ContributionDateTime = date + time


def part10(dataset: Dataset) -> bytes:
    """The Part 10 file (PS3.10) of a data set that carries its file meta information."""
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
