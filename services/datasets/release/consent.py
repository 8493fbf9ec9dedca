"""Whether a study may be released: what the ledger says of consent and holds, and what its headers say. Pure."""

from collections.abc import Iterable

from pydicom.dataset import Dataset

from services.ledger.consent import Standing

MISSING = (
    "No consent to its release is recorded, for its patient or its study. Record it: nightjar dataset consent LIST.csv."
)
WITHDRAWN = "Consent to its release was withdrawn."
ON_HOLD = "A hold lies on its patient or its study. Lift it when it may leave: nightjar dataset consent LIST.csv."
_REFUSED = "Its headers say {flag} of consent to distribution."
_YES = "YES"
CONSENT_TAG = "ConsentForClinicalTrialUseSequence"
"""The attribute of an image that `why_headers_refuse` looks at."""


def why_not_released(standing: Standing) -> str | None:
    """What the ledger has against a study's release, as a sentence; no consent yet is for `why_headers_refuse`."""
    if standing.on_hold:
        return ON_HOLD
    return WITHDRAWN if standing.withdrawn else None


def why_headers_refuse(datasets: Iterable[Dataset], standing: Standing) -> str | None:
    """What the images' own Consent for Distribution Flag (PS3.3 C.7.2.3) has against it, as a sentence.

    A flag other than YES anywhere refuses. YES throughout stands for consent where the ledger has none.
    """
    flags = {flag for dataset in datasets for flag in _flags(dataset) or {""}}
    if refused := sorted(flags - {_YES, ""}):
        return _REFUSED.format(flag=" and ".join(refused))
    return None if standing.granted or flags == {_YES} else MISSING


def _flags(dataset: Dataset) -> set[str]:
    return {
        flag
        if (flag := str(item.get("ConsentForDistributionFlag") or "")) in (_YES, "NO", "WITHDRAWN", "")
        else "UNKNOWN"
        for item in dataset.get(CONSENT_TAG) or ()
    }
