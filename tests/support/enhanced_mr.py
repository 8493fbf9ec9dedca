"""Classic MR instances as one Enhanced MR (PS3.3 A.36), which says in functional groups what they say at their top."""

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage
from support.ct import item, multi_frame

_MOVED = (
    "RepetitionTime", "EchoTime", "InversionTime", "FlipAngle", "EchoTrainLength", "NumberOfAverages",
    "PercentSampling", "PercentPhaseFieldOfView", "InPlanePhaseEncodingDirection", "AcquisitionMatrix",
    "ScanningSequence", "SequenceVariant", "ScanOptions", "WindowCenter", "WindowWidth", "SpacingBetweenSlices",
    "SliceLocation",
)  # fmt: skip


def enhanced_mr(datasets: Sequence[Dataset], *, per_frame: bool = False) -> Dataset:
    """Their one object, frames in the order given.

    Args:
        per_frame: each frame says everything by itself, as some scanners write it; nothing is shared.
    """
    first = datasets[0]
    image = multi_frame(datasets)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    for keyword in _MOVED:
        if keyword in image:
            delattr(image, keyword)
    image.EchoPulseSequence = "SPIN" if "SE" in first.ScanningSequence else "GRADIENT"
    image.EchoPlanarPulseSequence = "YES" if "EP" in first.ScanningSequence else "NO"
    image.SegmentedKSpaceTraversal, image.SteadyStatePulseSequence = "PARTIAL", "NONE"
    [shared] = image.SharedFunctionalGroupsSequence
    shared.MRTimingAndRelatedParametersSequence = [
        item(
            RepetitionTime=float(first.RepetitionTime), FlipAngle=float(first.FlipAngle),
            EchoTrainLength=int(first.EchoTrainLength),
        )
    ]  # fmt: skip
    shared.MREchoSequence = [item(EffectiveEchoTime=float(first.EchoTime))]
    inversion = first.get("InversionTime")
    shared.MRModifierSequence = [
        item(InversionRecovery="NO", Spoiling="NONE")
        if inversion is None
        else item(InversionRecovery="YES", InversionTimes=[float(inversion)], Spoiling="NONE")
    ]
    if "AcquisitionMatrix" in first:
        shared.MRFOVGeometrySequence = [
            item(
                InPlanePhaseEncodingDirection={"ROW": "ROW", "COL": "COLUMN"}[first.InPlanePhaseEncodingDirection],
                MRAcquisitionFrequencyEncodingSteps=max(first.AcquisitionMatrix[:2]),
                MRAcquisitionPhaseEncodingStepsInPlane=max(first.AcquisitionMatrix[2:]),
                PercentSampling=float(first.PercentSampling),
                PercentPhaseFieldOfView=float(first.PercentPhaseFieldOfView),
            )
        ]
    if per_frame:
        for frame in image.PerFrameFunctionalGroupsSequence:
            frame.update(shared)
        del image.SharedFunctionalGroupsSequence
    return image
