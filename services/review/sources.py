"""What masks lie on: the grid of a series as the models read it, and an answer as a mask on it."""

import threading
from collections import OrderedDict
from contextlib import nullcontext
from io import BytesIO

import pydicom

from models.dicom import read_series
from models.errors import ModelError
from services.context import Context
from services.errors import Reject
from services.ledger import analyses, images, workitem_changes
from services.ledger.arrays import unpack_array
from services.ledger.database import Connection
from services.ledger.routing import combine_digests
from services.ledger.workitems import Workitem
from services.review.masks import Grid, Mask, decode, encode, grid_of
from services.storage import Store

_KEPT = 64
_grids: OrderedDict[str, Grid] = OrderedDict()
_lock = threading.Lock()


def read_grid(context: Context, series_uid: str, connection: Connection | None = None) -> Grid:
    """The grid of a series; those read last are kept in this process.

    Args:
        connection: one that the caller holds already, so that nobody waits for a second while keeping the first.

    Raises:
        Reject: the series cannot be read as a volume; the message says why, without patient data.
    """
    with nullcontext(connection) if connection is not None else context.pool.connection() as held:
        keys = analyses.instance_keys(held, series_uid)
    digest = combine_digests(sorted(keys))
    with _lock:
        if digest in _grids:
            _grids.move_to_end(digest)
            return _grids[digest]
    try:
        datasets = [pydicom.dcmread(BytesIO(context.store.get(key))) for key in keys]
        grid = grid_of(read_series(datasets), datasets)
    except KeyError:
        raise Reject("The bytes of an instance are no longer in the store.") from None
    except ModelError as error:
        raise Reject(str(error)) from error
    with _lock:
        _grids[digest] = grid
        while len(_grids) > _KEPT:
            _grids.popitem(last=False)
    return grid


def answer_mask(context: Context, connection: Connection, item: Workitem) -> Mask | None:
    """The answer that a workitem corrects, as a mask on its grid.

    None without an answer, and when it no longer fits: it was superseded, or its images changed.
    """
    if item.analysis_id is None:
        return None
    facts = images.list_labels(connection, item.study_uid).get(item.analysis_id)
    if facts is None or facts.segmentation_key is None or not facts.is_current:
        return None
    try:
        labels = unpack_array(context.store.get(facts.segmentation_key))
    except (KeyError, ValueError):
        return None
    grid = read_grid(context, item.series_uid, connection)
    return Mask(labels.astype("uint8"), grid) if labels.shape == grid.shape else None


def keep_answer(context: Context, connection: Connection, item: Workitem) -> str | None:
    """Storage key of the answer as a mask, made and kept at the first call; None without one."""
    if item.ai_digest is not None:
        return item.ai_digest
    mask = answer_mask(context, connection, item)
    if mask is None:
        return None
    put_mask(context.store, mask)
    workitem_changes.keep_answer(connection, item, mask.digest)
    return mask.digest


def put_mask(store: Store, mask: Mask) -> str:
    """Keep a mask durably; its storage key, the same for the same mask."""
    return store.put(encode(mask), mask.digest)


def get_mask(store: Store, digest: str) -> Mask:
    """A mask that was kept.

    Raises:
        Reject: its bytes are gone or damaged.
    """
    try:
        return decode(store.get(digest))
    except (KeyError, ValueError):
        raise Reject("The bytes of a mask are no longer in the store.") from None
