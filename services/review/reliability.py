"""How well the readers of a task agree over all its workitems, from first readings alone: nobody had seen another's."""

from dataclasses import dataclass

import numpy as np

from services.datasets.evaluation.agreement import BlandAltman, bland_altman, cohen_kappa, fleiss_kappa, icc
from services.datasets.evaluation.estimate import Estimate, median
from services.ledger import gradings
from services.ledger.database import Connection
from services.ledger.gradings import ReadingPair, StoredAgreement
from services.review.tasks import Task


@dataclass(frozen=True)
class LabelReliability:
    """One label, each figure with its 95 % interval and the number of images behind it.

    Attributes:
        dice, nsd, lesion_f1: medians over the images where at least one reader marked the label.
        volume: bias and limits of agreement of the second reading less the first, mL.
        icc: ICC(2,1) of the volumes.
        cohen, fleiss: kappa of whether the label is there at all: of A and B as two raters, and of two readings by
            whomever.
    """

    dice: Estimate
    nsd: Estimate
    lesion_f1: Estimate
    volume: BlandAltman
    icc: Estimate
    cohen: Estimate
    fleiss: Estimate


def of_task(connection: Connection, task: Task) -> dict[str, LabelReliability]:
    """By label of the task."""
    pairs = gradings.first_pairs(connection, task.name)
    compared = gradings.first_agreements(connection, task.name)
    return {
        label.name: summarise(label.name, pairs, [each for each in compared if each.label == label.name])
        for label in task.labels
    }


def summarise(label: str, pairs: list[ReadingPair], compared: list[StoredAgreement]) -> LabelReliability:
    """The figures of one label. Pure."""
    first = np.array([pair.first_ml.get(label, 0.0) for pair in pairs])
    second = np.array([pair.second_ml.get(label, 0.0) for pair in pairs])
    seen = np.stack([first > 0, second > 0], axis=1).astype(np.int64) if pairs else np.zeros((0, 2), np.int64)
    there = seen.sum(axis=1)
    return LabelReliability(
        dice=median([each.dice for each in compared if each.dice is not None]),
        nsd=median([each.nsd for each in compared if each.nsd is not None]),
        lesion_f1=median([each.lesion_f1 for each in compared if each.lesion_f1 is not None]),
        volume=bland_altman(first, second),
        icc=icc(np.stack([first, second], axis=1)) if pairs else Estimate(),
        cohen=cohen_kappa(seen[:, 0], seen[:, 1]),
        fleiss=fleiss_kappa(np.stack([there, 2 - there], axis=1)),
    )
