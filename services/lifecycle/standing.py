"""Put a version beside the live one, promote it, roll it back. What runs goes on until the service is restarted."""

from dataclasses import asdict

import numpy as np

from models.card import Card
from models.registry import load_card, load_shipped
from models.shelf import Shelf, Standing
from services.context import Context
from services.errors import Reject, SettingsError
from services.ledger import served_models, shadows
from services.ledger.arrays import unpack_array
from services.ledger.shadows import Pair
from services.lifecycle.evidence import Evidence, judge, weigh
from services.lifecycle.reference import record
from services.review.masks import decode, dice


class Refused(Reject):
    """A version may not be promoted, or there is none to go back to; the sentence says why."""


def put_in_shadow(shelf: Shelf, model: str, version: str | None, share: float) -> None:
    """Have a version answer beside the live one; None: no version any more.

    Raises:
        InvalidCard: there is no such version.
        Refused: it is the live one.
    """
    standing = shelf.standing(model)
    if version is not None and load_card(model, version).version == load_card(model).version:
        raise Refused(f"{model} {version} is live; a shadow is another version.")
    if standing.canary:
        raise Refused(f"{model} {standing.shadow} is a canary; end that first: nightjar model rollback {model}.")
    shelf.stand(model, standing.model_copy(update={"shadow": version, "share": share}))


def begin_canary(context: Context, shelf: Shelf, model: str, version: str, share: float, *, account: str) -> Evidence:
    """Have readers see a version's answers for a share of the studies from the next start on; the live one answers
    those unseen.

    Raises:
        InvalidCard: there is no such version.
        Refused: it is no shadow, or does not meet the policy; masks of experts may still be wanting.
    """
    standing = shelf.standing(model)
    if standing.shadow != version:
        raise Refused(f"{model} {version} is no shadow. Begin there: nightjar model shadow {model} {version}.")
    evidence = gather(context, model, version)
    unmet = judge(evidence, context.settings.promotion.model_copy(update={"experts": 0}))
    if unmet:
        raise Refused("\n".join([f"{model} {version} becomes no canary:", *unmet]))
    _move(
        context, shelf, load_card(model, version), load_card(model), "canary", account=account, evidence=evidence,
        standing=standing.model_copy(update={"canary": share}),
    )  # fmt: skip
    return evidence


def gather(context: Context, model: str, version: str) -> Evidence:
    """What a version showed beside the version that is live now.

    Raises:
        InvalidCard: there is no such version.
    """
    new, live = load_card(model, version), load_card(model)
    with context.pool.connection() as connection:
        pairs = shadows.pairs(connection, model, _identity(new), _identity(live))
    return weigh(pairs, lambda pair: _score(context, pair))


def promote(context: Context, shelf: Shelf, model: str, version: str, *, account: str) -> Evidence:
    """Have a version serve from the next start on, if its evidence meets the policy. What its images and answers were
    like becomes what later ones are held against, where enough studies were answered.

    Raises:
        InvalidCard: there is no such version.
        Refused: the policy is not met, or the version is live; every reason is said.
    """
    new, live = load_card(model, version), load_card(model)
    if new.version == live.version:
        raise Refused(f"{model} {version} is live already.")
    evidence = gather(context, model, version)
    unmet = judge(evidence, context.settings.promotion)
    if unmet:
        raise Refused("\n".join([f"{model} {version} is not promoted:", *unmet]))
    standing = shelf.standing(model)
    with context.pool.connection() as connection:
        record(connection, new, account=account, unseen=True)
    _move(
        context, shelf, new, live, "promotion", account=account, evidence=evidence,
        standing=Standing(live=_entry(new), earlier=(*standing.earlier, standing.live)),
    )  # fmt: skip
    return evidence


def roll_back(context: Context, shelf: Shelf, model: str, *, account: str, reason: str | None = None) -> Card:
    """End a canary, at once; without one, have the version serve again that was live before. Asks for no evidence.

    Raises:
        Refused: there is no canary, and was none before.
    """
    standing = shelf.standing(model)
    if standing.canary and standing.shadow is not None:
        live = load_card(model)
        _move(
            context, shelf, live, load_card(model, standing.shadow), "rollback", account=account, reason=reason,
            standing=standing.model_copy(update={"canary": 0.0, "shadow": None}),
        )  # fmt: skip
        return live
    if not standing.earlier:
        raise Refused(f"{model} was never promoted; there is no version to go back to.")
    *earlier, before = standing.earlier
    target = load_shipped(model) if before is None else load_card(model, before)
    if target is None:
        raise SettingsError(f"{model} no longer ships with Nightjar; promote another version.")
    _move(
        context, shelf, target, load_card(model), "rollback", account=account, reason=reason,
        standing=Standing(live=before, earlier=tuple(earlier)),
    )  # fmt: skip
    return target


def _move(
    context: Context, shelf: Shelf, target: Card, source: Card, kind: str, *, account: str, standing: Standing,
    evidence: Evidence | None = None, reason: str | None = None,
) -> None:  # fmt: skip
    """Record it, then write it: what is written was recorded, and both are there or neither."""
    with context.pool.connection() as connection:
        shadows.record_promotion(
            connection, target.name, kind, source=source.version, target=target.version, digest=target.weights.sha256,
            account=account, evidence={} if evidence is None else asdict(evidence), reason=reason,
        )  # fmt: skip
        if not standing.canary:
            served_models.end_canary(connection, target.name)
        shelf.stand(target.name, standing)


def _entry(card: Card) -> str | None:
    """How a version is called on the shelf: the one that ships is none."""
    shipped = load_shipped(card.name)
    return None if shipped is not None and shipped.version == card.version else card.version


def _identity(card: Card) -> tuple[str, str]:
    return card.version, card.weights.sha256


def _score(context: Context, pair: Pair) -> tuple[float, float] | None:
    """Dice of both versions against the experts' mask, whatever the labels; None where nobody marks anything."""
    try:
        mask = decode(context.store.get(str(pair.expert_key))).labels > 0
        new, live = (
            unpack_array(context.store.get(str(key))) > 0 for key in (pair.segmentation_key, pair.live_segmentation_key)
        )
    except (KeyError, ValueError):
        return None
    if new.shape != mask.shape or live.shape != mask.shape:
        return None
    found = [dice(np.asarray(each), mask) for each in (new, live)]
    # Where the experts marked nothing, a version that does not either agrees.
    return (found[0] if found[0] is not None else 1.0, found[1] if found[1] is not None else 1.0)
