"""The encode stage: a committed answer becomes a Segmentation and a report, checked, stored and queued for delivery.

Where some destination wants them, secondary captures too. An answer that is an image becomes a derived series instead.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import get_args

from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset

from models.card import Card, Code
from models.dicom import read_series
from models.errors import ModelError
from models.registry import load_card
from models.volume import Volume
from services.archive_settings import ResultKind
from services.context import Context
from services.errors import NightjarError, Reject, Retry
from services.ledger import analyses, results
from services.ledger.arrays import unpack_array
from services.ledger.jobs import Stage
from services.results.answer import Answer, Concept, Label, Predecessor, StudyMeasurement
from services.results.capture import encode_captures
from services.results.capture_gate import check_captures
from services.results.equipment import part10
from services.results.frames import each_once, slice_headers
from services.results.gate import check_results
from services.results.report import encode_report
from services.results.segmentation import encode_segmentation
from services.results.series import encode_series
from services.results.series_gate import check_series
from services.results.stored import keep
from services.settings import Settings


def run(context: Context, analysis_id: int) -> None:
    """Write the objects of one analysis; nothing to do for one superseded or encoded already.

    Raises:
        Retry: bytes it needs are not in the store.
        Reject: the answer cannot be written as valid objects, or the output gate stopped them.
    """
    with context.pool.connection() as connection:
        committed = results.load(connection, analysis_id)
        if committed is None:
            return
        earlier = results.predecessor(connection, committed)
    answer, volume = _answer(context, committed, earlier)
    destinations = _destinations(context.settings)
    if answer.image is not None:
        objects = [("mr", *written) for written in encode_image(answer)]
    else:
        objects = [(kind, *written) for kind, written in encode(answer).items()]
    if destinations["sc"] and answer.image is None:
        objects += [("sc", *written) for written in capture(answer, volume)]
    new = [keep(context.store, kind, dataset, data) for kind, dataset, data in objects]
    with context.pool.connection() as connection:
        results.save(connection, committed, new, destinations)


def give_up(context: Context, analysis_id: int, reason: str) -> None:
    """The study fails visibly; its flag stays, for nothing lowers a priority."""
    with context.pool.connection() as connection:
        analyses.fail(connection, analysis_id, reason)


STAGE = Stage("encode", run, give_up)


def encode(answer: Answer) -> dict[str, tuple[Dataset, bytes]]:
    """The Segmentation and the report of an answer, past the output gate, as data set and Part 10 bytes.

    Raises:
        Reject: they cannot be written, or the gate stopped them.
    """
    with _writing():
        segmentation = encode_segmentation(answer)
        report = encode_report(answer, segmentation)
        encoded = {"sr": (report, part10(report))}
        if segmentation is not None:
            encoded = {"seg": (segmentation, part10(segmentation))} | encoded
    with disable_value_validation():
        check_results(answer, encoded["seg"][1] if "seg" in encoded else None, encoded["sr"][1])
    return encoded


def capture(answer: Answer, volume: Volume) -> list[tuple[Dataset, bytes]]:
    """The secondary captures of an answer, past the output gate, as data set and Part 10 bytes.

    Args:
        volume: the source images' voxels.

    Raises:
        Reject: they cannot be written, or the gate stopped them.
    """
    with _writing():
        captures = [(dataset, part10(dataset)) for dataset in encode_captures(answer, volume)]
    with disable_value_validation():
        check_captures(answer, volume, [data for _, data in captures])
    return captures


def encode_image(answer: Answer) -> list[tuple[Dataset, bytes]]:
    """The derived series of an answer that is an image, past the output gate, as data sets and Part 10 bytes.

    Raises:
        Reject: it cannot be written, or the gate stopped it.
    """
    with _writing():
        series = [(dataset, part10(dataset)) for dataset in encode_series(answer)]
    with disable_value_validation():
        check_series(answer, [data for _, data in series])
    return series


@contextmanager
def _writing() -> Iterator[None]:
    try:
        # What a source image carries goes on as it is; a warning about it would quote it.
        with disable_value_validation():
            yield
    except NightjarError:
        raise
    except Exception as error:  # whatever in a source image the writer cannot carry over; its message may quote it
        raise Reject(f"The result cannot be written as DICOM ({type(error).__name__}).") from error


def _answer(
    context: Context, committed: results.CommittedAnswer, earlier: results.DeliveredReport | None
) -> tuple[Answer, Volume]:
    """The answer ready to be written, and the voxels of its source images."""
    try:
        card = load_card(committed.model.name)
        reference = card.reference_of(committed.inputs).role
        instances = _instances(context, committed.inputs[reference])
        volume = read_series(instances)
        others = [uid for role, uid in sorted(committed.inputs.items()) if role != reference]
        further = [header for uid in others for header in evidence_of(_instances(context, uid))]
    except ModelError as error:
        raise Reject(str(error)) from error
    try:
        segmentation = unpack_array(context.store.get(committed.segmentation_key))
        image = None if committed.image_key is None else unpack_array(context.store.get(committed.image_key))
    except KeyError as error:
        raise Retry("The model's answer is not in the store.") from error
    answer = Answer(
        sources=slice_headers(instances, volume),
        further=tuple(further),
        segmentation=segmentation,
        image=image,
        finer=context.settings.enhanced_grid,
        labels=labels_of(card),
        findings=committed.findings,
        urgency=committed.urgency,
        model=committed.model,
        input_digest=committed.input_digest,
        analysed_at=committed.analysed_at,
        measurements=measurements_of(card, committed.measurements),
        parameters=committed.parameters,
        institution=context.settings.institution,
        predecessors=()
        if earlier is None
        else (
            Predecessor(
                study_uid=earlier.study_uid,
                series_uid=earlier.series_uid,
                sop_class_uid=earlier.sop_class_uid,
                sop_instance_uid=earlier.sop_instance_uid,
            ),
        ),
    )
    return answer, volume


def _instances(context: Context, series_uid: str) -> list[Dataset]:
    with context.pool.connection() as connection:
        keys = analyses.instance_keys(connection, series_uid)
    try:
        return [dcmread(BytesIO(context.store.get(key))) for key in keys]
    except KeyError as error:
        raise Retry("The bytes of a source image are not in the store.") from error


def sources_of(instances: Sequence[Dataset]) -> tuple[Dataset, ...]:
    """Headers of the slices the model saw, in the order it saw them; `instances` come in any order, with pixels.

    Raises:
        InvalidVolume: the model cannot have seen them.
    """
    return slice_headers(instances, read_series(instances))


def evidence_of(instances: Sequence[Dataset]) -> list[Dataset]:
    """Headers of the images a model saw of a further input, in the order it saw them.

    Raises:
        InvalidVolume: the model cannot have seen them.
    """
    return each_once(sources_of(instances))


def labels_of(card: Card) -> tuple[Label, ...]:
    """A card's labels as the encoders take them."""
    return tuple(
        Label(
            value=label.value,
            name=label.name,
            code=_concept(label.code),
            colour=label.colour,
        )
        for label in card.labels
    )


def measurements_of(card: Card, values: Mapping[str, float]) -> tuple[StudyMeasurement, ...]:
    """A prediction's measurements as the encoders take them, in the order of the card.

    Raises:
        Reject: the card does not describe one; without code and unit it cannot be written.
    """
    unknown = sorted(set(values) - {measure.name for measure in card.measures})
    if unknown:
        raise Reject(f"The card of {card.name} does not describe the measurement {', '.join(unknown)}.")
    return tuple(
        StudyMeasurement(
            name=measure.name,
            code=_concept(measure.code),
            value=values[measure.name],
            unit=measure.unit,
            answer=_concept(answer) if (answer := measure.answer(values[measure.name])) else None,
            site=_concept(measure.site) if measure.site else None,
        )
        for measure in card.measures
        if measure.name in values
    )


def _concept(code: Code) -> Concept:
    return Concept(code.value, code.scheme, code.meaning)


def _destinations(settings: Settings) -> dict[str, Sequence[str]]:
    return {
        kind: [destination.name for destination in settings.destinations if kind in destination.results]
        for kind in get_args(ResultKind)
    }
