"""Who may open the review's pages, and how its refusals are answered over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Form, HTTPException

from services.errors import Reject
from services.languages import gettext
from services.languages.recorded import say_again
from services.ledger.accounts import Account, Role, find_account
from services.ledger.annotations import StaleBase
from services.review.errors import Conflict, Forbidden, NotFound
from services.triage.site import Site, require

Expert = Annotated[Account, Depends(require(Role.ANNOTATOR, Role.REVIEWER, Role.ARBITER, Role.ADMINISTRATOR))]
Lead = Annotated[Account, Depends(require(Role.REVIEWER, Role.ADMINISTRATOR))]
Rater = Annotated[
    Account,
    Depends(require(Role.RADIOLOGIST, Role.ANNOTATOR, Role.REVIEWER, Role.ARBITER, Role.ADMINISTRATOR)),
]
"""Who takes part in reader studies."""

Text = Annotated[str, Form(max_length=4000)]
AccountName = Annotated[str, Form(max_length=40)]


@contextmanager
def refusals() -> Iterator[None]:
    """Refusals of the review as HTTP answers; their sentences are for the person who asked, in their language."""
    try:
        yield
    except NotFound as error:
        raise HTTPException(404, say_again(str(error))) from error
    except Forbidden as error:
        raise HTTPException(403, say_again(str(error))) from error
    except (Conflict, StaleBase) as error:
        raise HTTPException(409, say_again(str(error))) from error
    except Reject as error:
        raise HTTPException(422, say_again(str(error))) from error


def leads(account: Account) -> bool:
    """Whether somebody plans, assigns and admits."""
    return bool(account.roles & {Role.REVIEWER, Role.ADMINISTRATOR})


def person(site: Site, name: str) -> Account:
    """Somebody by the name of their account; 404 where there is none."""
    with site.connection() as connection:
        found = find_account(connection, name)
    if found is None:
        raise HTTPException(404, gettext("There is no account of this name."))
    return found
