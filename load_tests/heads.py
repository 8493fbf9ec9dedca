"""A head CT of 32 x 512 x 512 as a scanner writes it."""

from pathlib import Path

from services.demonstration.phantom import write_phantoms


def write_head(scratch: Path, *, quick: bool) -> Path:
    """The folder of the axial series of one demonstration study; smaller in-plane when quick."""
    [study] = write_phantoms(scratch / "head", only=["none-1"], matrix=128 if quick else 512)
    return study.directory / "series2"
