"""docs/configuration.md, from the settings: `python -m services.settings_reference > docs/configuration.md`."""

import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from services.archive_settings import Destination, Source
from services.notification_settings import Notification
from services.settings import Settings

_INTRODUCTION = """\
# Configuration

Written by `python -m services.settings_reference > docs/configuration.md`; a test fails when it is stale.

One YAML file, given with `--config`. The variable `NIGHTJAR_ROUTER__PORT=104` overrides its `router.port`.
Unknown settings are refused, and every mistake is listed at once.
"""

_LISTS: dict[str, type[BaseModel]] = {"sources": Source, "destinations": Destination, "notifications": Notification}
_UNITS = {"_s": "seconds", "_mb": "megabytes", "_minutes": "minutes", "_hours": "hours"}


@dataclass(frozen=True)
class Row:
    """One setting as the page shows it; all fields are Markdown."""

    name: str
    kind: str
    default: str
    unit: str
    description: str


def page() -> str:
    """The whole page."""
    top = [(name, field) for name, field in Settings.model_fields.items() if _section(field) is None]
    parts = [_INTRODUCTION, _table([_row(name, field) for name, field in top if name not in _LISTS])]
    for name, field in Settings.model_fields.items():
        section = _section(field)
        if section is not None:
            parts.append(f"## {name}\n\n{_table(list(_rows(name, section)))}")
    for name, entry in _LISTS.items():
        parts.append(
            f"## {name}\n\n"
            f"{Settings.model_fields[name].description} A list; each entry has:\n\n"
            f"{_table(list(_rows(f'{name}[]', entry)))}"
        )
    return "\n".join(parts)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    if isinstance(kind, types.UnionType):  # one that may be left out
        kind = get_args(kind)[0]
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _rows(prefix: str, section: type[BaseModel]) -> Iterator[Row]:
    for name, field in section.model_fields.items():
        nested = _section(field)
        if nested is None:
            yield _row(f"{prefix}.{name}", field)
        else:
            yield from _rows(f"{prefix}.{name}", nested)


def _row(name: str, field: FieldInfo) -> Row:
    return Row(
        name=f"`{name}`",
        kind=_kind(field.annotation),
        default="needed" if field.is_required() else _value(field.default),
        unit=next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), ""),
        description=field.description or "",
    )


def _kind(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return _kind(next(argument for argument in arguments if argument is not type(None)))
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"{_kind(arguments[1])} by name"
    return {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}[kind]


def _value(value: Any) -> str:
    if value is None or value in ("", (), {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _table(rows: list[Row]) -> str:
    lines = ["| Setting | Type | Default | Unit | |", "|---|---|---|---|---|"]
    lines += [f"| {row.name} | {row.kind} | {row.default} | {row.unit} | {row.description} |" for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
