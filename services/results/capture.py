"""Secondary captures (PS3.3 A.8.1): pictures of the key slices for a PACS that shows neither SEG nor SR."""

from highdicom import PhotometricInterpretationValues
from highdicom.sc import ConversionTypeValues, SCImage
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from models.volume import Volume
from services.results.answer import NOTICE, Answer, Concept
from services.results.drawing import draw, key_slices, orientation
from services.results.equipment import coded, complete, equipment, series_description
from services.results.frames import refer
from services.results.sources import for_writer

SERIES_NUMBER = 9003
_SOURCE = Concept("121322", "DCM", "Source image for image processing operation")
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_CODE_STRING, _SHORT_TEXT = 16, 1024  # characters of a CS and an ST (PS3.5 6.2)


def encode_captures(answer: Answer, volume: Volume) -> list[Dataset]:
    """One image a key slice, in the order of the slices; none without a finding.

    Args:
        volume: the source images' voxels.
    """
    return [_encode(answer, volume, index, number) for number, index in enumerate(key_slices(answer), start=1)]


def _encode(answer: Answer, volume: Volume, index: int, number: int) -> Dataset:
    source = answer.sources[index]
    capture = SCImage.from_ref_dataset(
        ref_dataset=for_writer([source])[0],
        pixel_array=draw(answer, volume, index),
        photometric_interpretation=PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system="PATIENT",
        series_instance_uid=answer.uids.capture_series(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=answer.uids.capture_instance(index),
        instance_number=number,
        patient_orientation=(orientation(volume.row_direction), orientation(volume.column_direction)),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        series_description=series_description(answer, "SC"),
        **equipment(answer),
    )
    complete(capture, answer.sources[0], answer.analysed_at)
    capture.ConversionType = ConversionTypeValues.WSD.value
    capture.DateOfSecondaryCapture, capture.TimeOfSecondaryCapture = capture.ContentDate, capture.ContentTime
    capture.BurnedInAnnotation = "YES"
    capture.ImageComments = NOTICE
    capture.BodyPartExamined = answer.site.meaning.upper()[:_CODE_STRING]
    capture.AnatomicRegionSequence = [coded(answer.site)]
    parameters = ", ".join(f"{name}={value}" for name, value in answer.algorithm_parameters.items())
    capture.DerivationDescription = f"{answer.algorithm_name} {answer.model.version}, {parameters}"[:_SHORT_TEXT]
    for keyword in _LOSSY:
        if keyword in source:
            setattr(capture, keyword, source[keyword].value)
    reference = Dataset()
    refer(reference, source)
    reference.PurposeOfReferenceCodeSequence = [coded(_SOURCE)]
    capture.SourceImageSequence = [reference]
    return capture
