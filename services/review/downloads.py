"""Masks taken along, finished or not: NIfTI for 3D Slicer and ITK-SNAP, a DICOM Segmentation for viewers."""

import numpy as np
from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from models.errors import ModelError
from services.errors import Retry
from services.languages import gettext
from services.ledger import corrections
from services.ledger.accounts import Account
from services.review import correct, sources
from services.review.correction_seg import encode_segmentation
from services.review.mask_nifti import write_nifti
from services.review.masks import Mask
from services.review.opening import Opened, open_item
from services.review.people import Expert, refusals
from services.triage.site import Site, SiteDependency, audit

router = APIRouter(include_in_schema=False)


@router.get("/review/{item}/edit/mask.nii.gz")
def download_nifti(request: Request, site: SiteDependency, account: Expert, item: int) -> Response:
    """One's own mask as it was last saved, else what one would begin from, be it nothing on the images' grid."""
    _, mask = _take(request, site, account, item)
    return _file(write_nifti(mask), "application/gzip", f"workitem-{item}.nii.gz")


@router.get("/review/{item}/edit/mask.dcm")
def download_segmentation(request: Request, site: SiteDependency, account: Expert, item: int) -> Response:
    """The same as a DICOM Segmentation that says that it is a draft."""
    opened, mask = _take(request, site, account, item)
    if not mask.labels.any():
        raise HTTPException(
            422, gettext("Nothing is marked, and a DICOM Segmentation needs a segment. Take the NIfTI instead.")
        )
    with site.connection() as connection:
        origin = corrections.origin(connection, item)
    assert origin is not None
    slot = opened.slot.value if opened.slot is not None else "reader"
    saved = opened.latest.at if opened.latest is not None else opened.item.created_at
    with refusals():
        try:
            correction = correct.describe(
                site.context, origin, mask, drew=[(slot, account.name)], accepted_by=None, at=saved
            )
            _, data = encode_segmentation(correction)
        except (ModelError, Retry) as error:
            raise HTTPException(422, str(error)) from error
    return _file(data, "application/dicom", f"workitem-{item}.dcm")


def _take(request: Request, site: Site, account: Account, item: int) -> tuple[Opened, Mask]:
    with refusals(), site.connection() as connection:
        opened = open_item(site.context, connection, item, account)
        digest = opened.start_digest or next((each.mask_digest for each in opened.shown), None)
        mask = sources.get_mask(site.context.store, digest) if digest is not None else None
        if mask is None and opened.may_draw:
            grid = sources.read_grid(site.context, opened.item.series_uid, connection)
            mask = Mask(np.zeros(grid.shape, np.uint8), grid)
        audit(connection, request, "download", account, study_uid=opened.item.study_uid)
    if mask is None:
        raise HTTPException(404, gettext("There is no mask yet."))
    return opened, mask


def _file(data: bytes, media_type: str, name: str) -> Response:
    return Response(data, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})
