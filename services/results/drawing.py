"""A key slice as a picture for people: outlines, what is suspected in words, and the notice. No patient's name."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from scipy import ndimage

from models.prediction import Finding
from models.preview import display_window
from models.volume import Vector, Volume
from services.results.answer import Answer
from services.results.frames import frame_of, tile_of

BANNER = "Prioritisation only. Not for diagnosis"
EDGE = 768
"""Longer side of the slice in the picture, pixels."""

_BACKGROUND, _GREY, _AMBER = (11, 13, 16), (200, 204, 210), (255, 196, 61)
_MARGIN, _BANNER_HEIGHT, _LINE_HEIGHT = 16, 56, 34
_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))


def key_slices(answer: Answer) -> list[int]:
    """For each finding the slice on which it is largest, in the order of the slices, each once."""
    return sorted({_key_slice(answer, finding) for finding in answer.findings})


def draw(answer: Answer, volume: Volume, index: int) -> NDArray[np.uint8]:
    """One slice between the notice and the words about it, RGB with axes (row, column, colour).

    Args:
        volume: the source images, of which `index` is a slice.
    """
    picture = _slice(answer, volume, index)
    words = _words(answer, index)
    height = _BANNER_HEIGHT + EDGE + _LINE_HEIGHT * len(words) + _MARGIN
    canvas = Image.new("RGB", (EDGE, height), _BACKGROUND)
    canvas.paste(picture, ((EDGE - picture.width) // 2, _BANNER_HEIGHT + (EDGE - picture.height) // 2))
    pen = ImageDraw.Draw(canvas)
    pen.text((EDGE / 2, _BANNER_HEIGHT / 2), BANNER, _AMBER, _font(28), anchor="mm")
    _letter(pen, volume.row_direction, volume.column_direction)
    for number, (text, colour) in enumerate(words):
        pen.text((_MARGIN, _BANNER_HEIGHT + EDGE + _LINE_HEIGHT * (number + 0.5)), text, colour, _font(22), anchor="lm")
    return np.array(canvas)


def orientation(direction: Vector) -> str:
    """Where a direction (LPS) leads most: L, R, P, A, H or F (PS3.3 C.7.6.1.1.1)."""
    axis = int(np.argmax(np.abs(direction)))
    return _LETTERS[axis][0 if direction[axis] > 0 else 1]


def _key_slice(answer: Answer, finding: Finding) -> int:
    areas = (answer.segmentation == answer.label(finding.label).value).sum(axis=(1, 2))
    return int(areas.argmax()) if areas.any() else finding.key_slice


def _slice(answer: Answer, volume: Volume, index: int) -> Image.Image:
    low, high = display_window(volume, str(answer.sources[index].get("Modality", "")))
    grey = np.clip((volume.voxels[index] - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    height, width = np.array(grey.shape) * volume.spacing_mm
    scale = EDGE / max(height, width)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = np.array(Image.fromarray(grey).resize(shape, Image.Resampling.BILINEAR).convert("RGB"))
    for finding in answer.findings:
        label = answer.label(finding.label)
        mask = Image.fromarray((answer.segmentation[index] == label.value).astype(np.uint8) * 255)
        inside = np.array(mask.resize(shape, Image.Resampling.BILINEAR)) > 127
        picture[ndimage.binary_dilation(inside, iterations=2) & ~inside] = label.colour
    return Image.fromarray(picture)


def _words(answer: Answer, index: int) -> list[tuple[str, tuple[int, int, int]]]:
    """Lines below the slice with their colours: what was suspected on it, then who says so of which image."""
    lines = [
        (_describe(finding), answer.label(finding.label).colour)
        for finding in answer.findings
        if _key_slice(answer, finding) == index or _is_on(answer, finding, index)
    ]
    lines.append((f"{answer.algorithm_name} {answer.model.version}. {_place(answer.sources[index], index)}", _GREY))
    lines.append(("Research use only. Read the full study.", _GREY))
    return lines


def _describe(finding: Finding) -> str:
    text = f"Suspected {finding.label} {finding.volume_ml:.1f} mL"
    if finding.volume_range_ml is not None:
        text += " ({:.1f} to {:.1f} mL)".format(*finding.volume_range_ml)
    return text if finding.abc2_ml is None else f"{text}, ABC/2 {finding.abc2_ml:.1f} mL"


def _is_on(answer: Answer, finding: Finding, index: int) -> bool:
    return bool((answer.segmentation[index] == answer.label(finding.label).value).any())


def _place(source: Dataset, index: int) -> str:
    """How the PACS calls the image, for whoever looks it up there."""
    series, number = source.get("SeriesNumber"), source.get("InstanceNumber")
    if series is None or number is None:
        return f"Slice {index + 1} of the series."
    frame, tile = frame_of(source), tile_of(source)
    within = "" if frame is None else f", frame {frame}"
    within += "" if tile is None else f", slice {tile} of its mosaic"
    return f"Series {int(series)}, image {int(number)}{within}."


def _letter(pen: ImageDraw.ImageDraw, row: Vector, column: Vector) -> None:
    middle, right, bottom = EDGE / 2, EDGE - _MARGIN, _BANNER_HEIGHT + EDGE - _MARGIN
    for place, direction, anchor in (
        ((right, _BANNER_HEIGHT + middle), row, "rm"),
        ((_MARGIN, _BANNER_HEIGHT + middle), _opposite(row), "lm"),
        ((middle, bottom), column, "ms"),
        ((middle, _BANNER_HEIGHT + _MARGIN), _opposite(column), "mt"),
    ):
        letter, font = orientation(direction), _font(24)
        pen.text(place, letter, _GREY, font, anchor=anchor, stroke_width=2, stroke_fill=_BACKGROUND)


def _opposite(direction: Vector) -> Vector:
    x, y, z = direction
    return -x, -y, -z


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
