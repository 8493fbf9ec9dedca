"""DICOM JSON (PS3.18 F): data sets with bulk data left where it is, and single attributes of the ledger."""

import base64
import json
import math
from collections.abc import Sequence
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filewriter import correct_ambiguous_vr

Json = dict[str, Any]

INLINE_BYTES = 1024
"""Larger binary values are left out and named by a BulkDataURI."""

_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NUMBERS = frozenset({"IS", "DS", "US", "UL", "SS", "SL", "FL", "FD", "UV", "SV"})
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def attribute(keyword: str, value: object) -> tuple[str, Json]:
    """Tag and JSON of one attribute from a value of the ledger; None, "" and [] are an empty value."""
    tag = f"{tag_for_keyword(keyword):08X}"
    representation = dictionary_VR(keyword)
    if value is None or value in ("", []):
        return tag, {"vr": representation}
    values = list(value) if isinstance(value, list | tuple) else [value]
    if representation == "PN":
        return tag, {"vr": "PN", "Value": [_person(str(name)) for name in values]}
    if representation not in _NUMBERS:
        values = [str(one) for one in values]
    return tag, {"vr": representation, "Value": values}


def encode_dataset(dataset: Dataset, bulk_url: str) -> Json:
    """A data set; values that cannot be said in JSON are left empty rather than ending the answer.

    Args:
        bulk_url: address of the instance's bulk data, to which the path of an element is added.
    """
    try:
        correct_ambiguous_vr(dataset, is_little_endian=True)
    except Exception:  # noqa: BLE001 - it needs attributes that an odd instance may lack; what stays ambiguous is left empty
        ambiguous = True
    else:
        ambiguous = False
    encoded = _encode(dataset, bulk_url, "")
    if ambiguous:
        encoded = {tag: value for tag, value in encoded.items() if " or " not in value["vr"]}
    encoded["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}  # JSON is UTF-8
    return dict(sorted(encoded.items()))


def dumps(value: Json | Sequence[Json]) -> bytes:
    """As bytes; what is no finite number is null, for JSON has no word for it."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _encode(dataset: Dataset, bulk_url: str, path: str) -> Json:
    encoded: Json = {}
    for tag in sorted(dataset.keys()):
        if tag.element == 0 or tag.group <= 2:
            continue
        key = f"{int(tag):08X}"
        try:
            encoded[key] = _element(dataset[tag], bulk_url, f"{path}{key}")
        except Exception:  # noqa: BLE001 - pydicom raises many kinds for values against their representation
            encoded[key] = {"vr": dataset.get_item(tag).VR or "UN"}
    return encoded


def _element(element: DataElement, bulk_url: str, path: str) -> Json:
    if element.VR == "SQ":
        items = [_encode(item, bulk_url, f"{path}/{number}/") for number, item in enumerate(element.value)]
        return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
    if element.VR not in _BINARY:
        encoded: Json = element.to_json_dict(None, 0)
        return encoded
    value = element.value or b""
    if len(value) > INLINE_BYTES:
        return {"vr": element.VR, "BulkDataURI": f"{bulk_url}/{path}"}
    return {"vr": element.VR, "InlineBinary": base64.b64encode(value).decode()} if value else {"vr": element.VR}


def _person(name: str) -> dict[str, str]:
    groups = dict(zip(_GROUPS, name.split("="), strict=False))
    return {group: text for group, text in groups.items() if text}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
