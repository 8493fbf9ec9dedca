"""Compressed pixels, decoded by a process of their own.

Codecs are C++, and some damaged images end the process that decodes them: with GDCM 3.2.6 about one in forty of those
with one wrong byte in the header of a JPEG Lossless frame. That process is to be none that others depend on. It is
asked for one image at a time through its standard input and output, waits for the next one, and ends with its parent,
whose end it notices by end of file.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from threading import Timer
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import ExplicitVRLittleEndian

PATIENCE_S = 120.0
"""For one image; thousands of frames take a minute."""

MEMORY_BYTES = 8 << 30
"""Address space of the process: an image that claims to be larger than anything ends there."""

KEPT = 2
"""Processes that wait for the next image; further ones end after theirs."""

_IMAGE_PIXEL, _PIXEL_DATA = slice(0x00280000, 0x00290000), slice(0x7FE00000, 0x7FE10000)
_waiting: list["subprocess.Popen[bytes]"] = []
os.register_at_fork(after_in_child=_waiting.clear)


class CannotDecode(RuntimeError):
    """Pixels are damaged, or in a transfer syntax that is not known here."""


def decode(dataset: Dataset) -> NDArray[Any]:
    """What `dataset.pixel_array` gives.

    Raises:
        CannotDecode: they are compressed, and damaged.
        Exception: what pydicom raises for pixels that are not compressed, and not as their attributes say.
    """
    if not dataset.file_meta.TransferSyntaxUID.is_compressed:
        native: NDArray[Any] = dataset.pixel_array
        return native
    return _array(_ask({"work": "pixels"}, _image(dataset)))


def decode_frames(file: bytes, numbers: Sequence[int]) -> NDArray[Any]:
    """Frames of a Part 10 file as they are kept, colours included; (frames, ...).

    Args:
        numbers: from 1.

    Raises:
        CannotDecode: they are damaged, or not there.
    """
    return _array(_ask({"work": "frames", "numbers": list(numbers)}, file))


def decompress(dataset: Dataset) -> None:
    """Compressed pixels to Explicit VR Little Endian, in place, under the same SOP Instance UID.

    Raises:
        CannotDecode: they are damaged.
    """
    image = dcmread(BytesIO(_ask({"work": "decompress"}, _image(dataset))), force=True)
    for tag in dataset[_PIXEL_DATA]:
        del dataset[tag.tag]
    for part in (_IMAGE_PIXEL, _PIXEL_DATA):
        dataset.update(image[part])
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def _image(dataset: Dataset) -> bytes:
    """A file of what describes pixels and of these, and of nothing else of the patient."""
    image = dataset[_IMAGE_PIXEL]
    image.update(dataset[_PIXEL_DATA])
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    file = BytesIO()
    try:
        dcmwrite(file, image, enforce_file_format=False, implicit_vr=False, little_endian=True)
    except Exception as error:  # pydicom raises many kinds, and may quote what it could not write
        raise CannotDecode("The pixels are not those of a compressed image.") from error
    return file.getvalue()


def _ask(order: dict[str, Any], file: bytes) -> bytes:
    """The answer to an order; a process that ends over it is followed by a second, the fault may not be the image's."""
    for process in (_take(), None):
        answer = _ask_one(process or _start(), order, file)
        if answer is not None:
            break
    else:
        raise CannotDecode("The process that decoded the image did not survive it, twice.")
    if not answer:
        raise CannotDecode("The pixels are damaged, or in a transfer syntax that is not known here.")
    return answer


def _ask_one(process: "subprocess.Popen[bytes]", order: dict[str, Any], file: bytes) -> bytes | None:
    """None: the process is gone."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("The process that decodes has no pipes.")
    patience = Timer(PATIENCE_S, process.kill)
    patience.start()
    try:
        _write(process.stdin, json.dumps(order).encode() + b"\n" + file)
        answer = _read(process.stdout)
    except (OSError, EOFError):
        _end(process)
        return None
    except BaseException:
        _end(process)
        raise
    finally:
        patience.cancel()
    if len(_waiting) < KEPT:
        _waiting.append(process)
    else:
        _end(process)
    return answer


def _take() -> "subprocess.Popen[bytes] | None":
    """One that waits; None: none does, or another thread was faster."""
    try:
        return _waiting.pop()
    except IndexError:
        return None


def _start() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "models.decoding"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # codecs quote what they read
        start_new_session=True,  # a Ctrl-C is its parent's affair
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.communicate()


def _array(saved: bytes) -> NDArray[Any]:
    array: NDArray[Any] = np.load(BytesIO(saved), allow_pickle=False)
    return array


def _write(pipe: IO[bytes], content: bytes) -> None:
    pipe.write(len(content).to_bytes(8, "big"))
    pipe.write(content)
    pipe.flush()


def _read(pipe: IO[bytes]) -> bytes:
    """One message.

    Raises:
        EOFError: the other side is gone.
    """
    size = pipe.read(8)
    content = pipe.read(int.from_bytes(size, "big"))
    if len(size) < 8 or len(content) < int.from_bytes(size, "big"):
        raise EOFError
    return content


def _answer(order: dict[str, Any], file: bytes) -> bytes:
    answer = BytesIO()
    if order["work"] == "decompress":
        image = dcmread(BytesIO(file), force=True)
        image.decompress(generate_instance_uid=False)
        dcmwrite(answer, image, enforce_file_format=False, implicit_vr=False, little_endian=True)
    elif order["work"] == "frames":
        indices = [number - 1 for number in order["numbers"]]
        np.save(answer, np.stack(list(iter_pixels(BytesIO(file), indices=indices, raw=True))), allow_pickle=False)
    else:
        np.save(answer, dcmread(BytesIO(file), force=True).pixel_array, allow_pickle=False)
    return answer.getvalue()


def main() -> None:
    """Answer until nobody asks any more; nothing is the answer to what cannot be decoded."""
    with suppress(ValueError, OSError):  # a lower limit is set already, or there is none of this kind
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a codec prints is no answer
    while True:
        try:
            order, _, file = _read(asked).partition(b"\n")
        except EOFError:
            return
        try:
            answer = _answer(json.loads(order), file)
        except Exception:  # noqa: BLE001 - whatever a damaged image raises
            answer = b""
        _write(answers, answer)


if __name__ == "__main__":
    main()
