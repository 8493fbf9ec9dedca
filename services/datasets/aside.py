"""A folder that appears whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.errors import Reject, SettingsError


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `target` when nothing went wrong, and is gone when something did.

    Raises:
        SettingsError: `target` exists.
        Reject: it could not be written.
    """
    refuse_existing(target)
    aside = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        aside.rename(target)
    except OSError as error:
        raise Reject(
            f"{target} could not be written: {error.strerror}. Nothing was released; make room and run it again."
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def refuse_existing(target: Path) -> None:
    """Raises SettingsError where something is already."""
    if target.exists():
        raise SettingsError(f"{target} exists. Name a new folder: nothing that was released is written over.")
