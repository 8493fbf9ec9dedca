"""Who may open the review's pages, and how its refusals are answered over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, HTTPException

from services.errors import Reject
from services.ledger.accounts import Account, Role
from services.ledger.annotations import StaleBase
from services.review.errors import Conflict, Forbidden, NotFound
from services.triage.site import require

Expert = Annotated[Account, Depends(require(Role.ANNOTATOR, Role.REVIEWER, Role.ARBITER, Role.ADMINISTRATOR))]
Lead = Annotated[Account, Depends(require(Role.REVIEWER, Role.ADMINISTRATOR))]


@contextmanager
def refusals() -> Iterator[None]:
    """Refusals of the review as HTTP answers; their sentences are for the person who asked."""
    try:
        yield
    except NotFound as error:
        raise HTTPException(404, str(error)) from error
    except Forbidden as error:
        raise HTTPException(403, str(error)) from error
    except (Conflict, StaleBase) as error:
        raise HTTPException(409, str(error)) from error
    except Reject as error:
        raise HTTPException(422, str(error)) from error
