"""Refusals of the review. One place maps them to HTTP statuses: services.review.people.

Reject (422)           what was sent cannot be taken: a mask, a label, a reason that is missing
|-- NotFound  (404)    there is no such workitem
|-- Forbidden (403)    this account may not
`-- Conflict  (409)    not now: the workitem moved on, or somebody else holds it (ledger.annotations.StaleBase too)
"""

from services.errors import Reject


class NotFound(Reject):
    """There is no such workitem, or none that this account may see."""


class Forbidden(Reject):
    """The account lacks a role, the experience, the admission, or the slot."""


class Conflict(Reject):
    """The workitem is in another state than the change needs, or held by somebody else."""
