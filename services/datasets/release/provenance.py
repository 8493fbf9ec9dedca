"""Where a mask comes from. Free text and the dates of people's work stay behind: they could lead to the patient."""

from collections.abc import Mapping
from typing import Any

from services.datasets.release.case import Case
from services.datasets.release.entry import Plan
from services.ledger.accepted import ReadersAgreement


def provenance(case: Case, plan: Plan, digests: Mapping[str, str]) -> dict[str, Any]:
    """The content of a mask's JSON.

    Args:
        digests: SHA-256 of each image as released, by its path.
    """
    label, person, volumes = case.label, plan.pseudonyms.person, case.mask.volumes_ml()
    return {
        "Description": f"{plan.task.title}: label map accepted by a reviewer.",
        "Manual": not label.unchanged,
        "Labels": {entry.name: entry.meaning for entry in plan.task.labels},
        "VolumesMillilitres": {entry.name: round(volumes.get(entry.value, 0.0), 3) for entry in plan.task.labels},
        "Provenance": {
            "ImageDigests": dict(digests),
            "MaskDigest": label.mask_digest,
            "Draft": {"Model": label.model, "Version": label.model_version, "WeightsDigest": label.weights_digest}
            if label.model
            else None,
            "AcceptedUnchanged": label.unchanged,
            "Tool": tool_of(label.tool),
            "Rounds": label.rounds,
            "HandedIn": [
                {
                    "Round": each.round,
                    "Part": each.slot,
                    "Person": None if each.account is None else person(each.account),
                    "Tool": tool_of(each.tool),
                    "MaskDigest": each.mask_digest,
                }
                for each in label.hand_ins
            ],
            "People": [
                {"Part": slot, "Person": person(account), "HandedIn": count} for slot, account, count in label.people
            ],
            "AcceptedBy": person(label.accepted_by),
            "Agreement": [
                {"First": person(each.first), "Second": person(each.second), **_measures(each)}
                for each in label.agreement
            ],
            "ImageQuality": [
                {
                    "Person": person(str(grade["account"])),
                    **{key: grade[key] for key in ("scale", "value", "motion", "metal")},
                }
                for grade in label.quality
            ],
        },
    }


def _measures(each: ReadersAgreement) -> dict[str, Any]:
    return {
        "Round": each.round,
        "Label": each.label,
        "FirstMillilitres": each.first_ml,
        "SecondMillilitres": each.second_ml,
        "Dice": each.dice,
        "SurfaceDice": each.nsd,
        "HD95Millimetres": each.hd95_mm,
        "LesionF1": each.lesion_f1,
    }


def tool_of(tool: str) -> str:
    """What drew a mask, without the title of the hospital's machine that sent it."""
    return tool.partition(" from ")[0]
