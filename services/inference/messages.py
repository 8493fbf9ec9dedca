"""What is asked of a model and what it answers, and both as bytes for those who ask from outside the Ray cluster.

A message is `NJM1`, the length of its head (8 bytes, little endian), the head (JSON in UTF-8), and the arrays as they
lie in memory, each at a multiple of 16 bytes. Nothing is pickled: what arrives is numbers and text, never executed.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from models.prediction import Prediction
from models.volume import Volume

LARGEST_BYTES = 2 * 2**30
"""Of one message: four series of 500 slices of 512 x 512, float32."""
_START = struct.Struct("<4sQ")
_MAGIC = b"NJM1"
_STEP = 16

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Question:
    """What one request asks.

    Attributes:
        application: as Serve knows it.
        inputs: volumes by role.
        priority: larger goes first where the machine is crowded; None: the card's.
    """

    application: str
    inputs: Mapping[str, Volume]
    priority: int | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """What a replica sends back: the prediction and its worklist picture (PNG)."""

    prediction: Prediction
    preview: bytes


class InvalidMessage(ValueError):
    """These bytes are no message of the kind that was expected."""


def pack(message: Question | Answer) -> bytes:
    """A message as bytes; `unpack` reads them."""
    arrays: list[NDArray[Any]] = []
    content = _plain(message, arrays)
    shapes = [{"type": array.dtype.str, "shape": array.shape} for array in arrays]
    head = json.dumps({"content": content, "arrays": shapes}).encode()
    parts: list[bytes | memoryview] = [_START.pack(_MAGIC, len(head)), head]
    size = _START.size + len(head)
    for array in arrays:
        parts += [bytes(-size % _STEP), array.reshape(-1).view(np.uint8).data]
        size += -size % _STEP + array.nbytes
    return b"".join(parts)


def unpack(kind: type[T], data: bytes) -> T:
    """Read a message; its arrays lie in these bytes and cannot be written to.

    Raises:
        InvalidMessage: cut short, of another kind, or not a message at all.
    """
    try:
        head, arrays = _read(data)
        found: T = _made(kind, head["content"], arrays)
    except (struct.error, ValueError, TypeError, LookupError, RecursionError) as error:
        raise InvalidMessage(f"These bytes are not a whole {kind.__name__} ({type(error).__name__}).") from error
    return found


def _read(data: bytes) -> tuple[Any, list[NDArray[Any]]]:
    """The head and the arrays; errors of any kind where there are none."""
    magic, length = _START.unpack_from(data)
    end = _START.size + length
    head = json.loads(data[_START.size : end])
    arrays = []
    for entry in head["arrays"]:
        end += -end % _STEP
        array = np.frombuffer(data, np.dtype(entry["type"]), count=math.prod(entry["shape"]), offset=end)
        arrays.append(array.reshape(entry["shape"]))
        end += array.nbytes
    if magic != _MAGIC or end != len(data):
        raise ValueError
    return head, arrays


def _plain(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """As JSON knows it; of an array its number in `arrays`."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name), arrays) for field in fields(value)}
    if isinstance(value, bytes):
        value = np.frombuffer(value, np.uint8)
    if isinstance(value, np.ndarray):
        arrays.append(np.ascontiguousarray(value))
        return len(arrays) - 1
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(each, arrays) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each, arrays) for each in value]
    return value


def _made(kind: Any, value: Any, arrays: list[NDArray[Any]]) -> Any:
    """The value of a type, as its annotation names it, from what `_plain` left."""
    origin, given = get_origin(kind) or kind, get_args(kind)
    if origin is UnionType:
        if value is None and NoneType in given:
            return None
        one = next((each for each in given if _fits(each, value)), None)
        if one is None:
            raise TypeError
        return _made(one, value, arrays)
    if isinstance(origin, type) and is_dataclass(origin):
        hints = get_type_hints(origin)
        return origin(**{field.name: _made(hints[field.name], value[field.name], arrays) for field in fields(origin)})
    if origin in (np.ndarray, bytes):
        array = arrays[value]
        if array.dtype.kind not in "biuf":
            raise TypeError
        return array.tobytes() if origin is bytes else array
    if origin is tuple:
        each = [given[0]] * len(value) if given[-1] is Ellipsis else given
        return tuple(_made(one, entry, arrays) for one, entry in zip(each, value, strict=True))
    if origin in (dict, Mapping):
        return {key: _made(given[1], each, arrays) for key, each in value.items()}
    if not _fits(origin, value):
        raise TypeError
    return origin(value) if issubclass(origin, IntEnum) else value


def _fits(kind: Any, value: Any) -> bool:
    """Whether what JSON gave can be a value of a type; a whole number is a number."""
    if kind is float:
        return isinstance(value, int | float)
    if isinstance(kind, type) and issubclass(kind, int | str):
        return isinstance(value, str if kind is str else int)
    return not isinstance(value, str) and value is not None
