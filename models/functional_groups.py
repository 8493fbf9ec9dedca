"""What enhanced multi-frame images keep in functional groups (PS3.3 C.7.6.16), and classic ones at their top."""

from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"

_PHASE = {"ROW": "ROW", "COLUMN": "COL"}
_SAME = {
    "MRTimingAndRelatedParametersSequence": ("RepetitionTime", "FlipAngle", "EchoTrainLength"),
    "MRFOVGeometrySequence": ("PercentSampling", "PercentPhaseFieldOfView"),
    "MRAveragesSequence": ("NumberOfAverages",),
    "MRImagingModifierSequence": ("PixelBandwidth",),
    "PixelMeasuresSequence": ("PixelSpacing",),
    "PixelValueTransformationSequence": ("RescaleIntercept", "RescaleSlope", "RescaleType"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction"),
}
"""What is called alike in both."""


def is_enhanced(image: Dataset) -> bool:
    """Whether an image keeps what its frames say in functional groups."""
    return SHARED in image or PER_FRAME in image


def in_frame(image: Dataset, number: int, group: str) -> Dataset:
    """The item of a group that holds for a frame, its own before the shared one; empty where there is neither.

    Args:
        number: of the frame, from 1.
        group: keyword of the sequence.
    """
    own, shared = image.get(PER_FRAME), image.get(SHARED)
    for groups in (own[number - 1 : number] if own else [], shared or []):
        for item in groups:
            if item.get(group):
                return item[group].value[0]  # type: ignore[no-any-return]
    return Dataset()


def classic_mr(image: Dataset, number: int) -> Dataset:
    """What a classic MR image (PS3.3 C.8.3.1) would say of a frame: acquisition, spacing, scale, window; no place.

    Scanning Sequence and Sequence Variant, which an enhanced image has no words for, follow from its pulse sequence.
    """
    classic = Dataset()
    for group, keywords in _SAME.items():
        item = in_frame(image, number, group)
        for keyword in keywords:
            if item.get(keyword) is not None:
                value = item[keyword].value
                setattr(classic, keyword, _decimal(value) if isinstance(value, float) else value)
    echo = in_frame(image, number, "MREchoSequence").get("EffectiveEchoTime")
    if echo is not None:
        classic.EchoTime = _decimal(echo)
    modifier = in_frame(image, number, "MRModifierSequence")
    if modifier.get("InversionTimes") is not None:
        times = modifier["InversionTimes"].value
        classic.InversionTime = _decimal(times if isinstance(times, float) else times[0])
    _say_phase(classic, in_frame(image, number, "MRFOVGeometrySequence"))
    classic.ScanningSequence, classic.SequenceVariant = _sequence(image, modifier), _variant(image, modifier)
    return classic


def _say_phase(classic: Dataset, geometry: Dataset) -> None:
    direction = _PHASE.get(str(geometry.get("InPlanePhaseEncodingDirection") or ""))
    samples = geometry.get("MRAcquisitionFrequencyEncodingSteps")
    lines = geometry.get("MRAcquisitionPhaseEncodingStepsInPlane")
    if direction is not None:
        classic.InPlanePhaseEncodingDirection = direction
        if samples and lines:
            rows_first = [0, samples, lines, 0] if direction == "COL" else [samples, 0, 0, lines]
            classic.AcquisitionMatrix = [int(value) for value in rows_first]


def _sequence(image: Dataset, modifier: Dataset) -> list[str]:
    said = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}.get(str(image.get("EchoPulseSequence")), [])
    if modifier.get("InversionRecovery") == "YES":
        said = [*said, "IR"]
    if image.get("EchoPlanarPulseSequence") == "YES":
        said = [*said, "EP"]
    return said or ["RM"]


def _variant(image: Dataset, modifier: Dataset) -> list[str]:
    said = []
    if image.get("SegmentedKSpaceTraversal") in ("PARTIAL", "FULL"):
        said.append("SK")
    if image.get("SteadyStatePulseSequence") not in (None, "", "NONE"):
        said.append("SS")
    if modifier.get("Spoiling") not in (None, "", "NONE"):
        said.append("SP")
    return said or ["NONE"]


def _decimal(value: float) -> DSfloat:
    return DSfloat(float(value), auto_format=True)
