"""The ICH card for networks that were never trained: no fitted weights, so a probability is the suspicion itself."""

from models.card import Card, OperatingPoint
from models.registry import load_card


def plain_ich_card() -> Card:
    """The committed card with one operating point for all labels and densities minded."""
    card = load_card("ich")
    changes = {"evidence": None, "minimum_hu": 46.0}
    labels = [
        label.model_copy(
            update={**changes, "operating_point": OperatingPoint(probability=0.6, volume_ml=volume_ml)},
        )
        for label, volume_ml in zip(card.labels, (0.3, 0.3, 1.0, 1.0, 0.5), strict=True)
    ]
    return card.model_copy(update={"labels": tuple(labels)})
