"""Fetch one pinned OHIF, verify it, and lay it out to be served below a path.

Two things in its scripts are changed, and counted. It is built to be served from "/". And it shows a measurement report
only by what is drawn in it, so that one whose findings lie in a segmentation is an empty page: ours is shown as text. A
release is pinned with its digest, so what is changed is known; another release is refused.
"""

import base64
import gzip
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from services.errors import NightjarError
from services.results.answer import MANUFACTURER

PACKAGE, VERSION = "@ohif/app", "3.13.2"
SHA512 = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
"""Of the package's archive, base64, as the registry publishes it."""

PREFIX = "/ohif/"
FOLDER = "ohif"
"""Below data_dir."""

_CONTENT = PurePosixPath("package/dist")
# Pages and settings are ours; service workers, other sites' sign-in and models fetched from elsewhere are not wanted.
_LEFT_OUT = ("index.html", "app-config.js", "sw.js", "init-service-worker.js", "google.js", "silent-refresh.html")
_LEFT_OUT_FOLDERS = ("ort", "dicom-microscopy-viewer", "customizations", "assets")
# What stands there, what shall, and how often.
_CHANGES = (
    (b'__webpack_require__.p = "/";', f'__webpack_require__.p = "{PREFIX}";'.encode(), 8),
    (
        b"  if (isImagingMeasurementReport) {",
        f'  if (isImagingMeasurementReport && displaySets[0].instance.Manufacturer !== "{MANUFACTURER}") {{'.encode(),
        1,
    ),
)
_FONT = b"url(/"
_FETCH_S = 600


def install(directory: Path, archive: Path | None = None) -> Path:
    """Put OHIF into `directory`/ohif and return that; what lay there is replaced once the new one is whole.

    Args:
        archive: the package as a file, for machines without a way to the registry; else npm fetches it.

    Raises:
        NightjarError: it cannot be fetched, is not the pinned release, or cannot be written.
    """
    target = directory / FOLDER
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory, prefix=".ohif-") as scratch:
            package = archive or _fetch(Path(scratch))
            _verify(package)
            unpacked = Path(scratch) / "new"
            _unpack(package, unpacked)
            _adapt(unpacked)
            if target.exists():
                target.rename(Path(scratch) / "old")
            unpacked.rename(target)
    except OSError as error:
        raise NightjarError(
            f"OHIF cannot be installed in {target}: {error.strerror or type(error).__name__}."
        ) from error
    return target


def _fetch(scratch: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise NightjarError(
            f"npm is not installed. Install it, or fetch the package elsewhere (npm pack {PACKAGE}@{VERSION}) "
            "and name the file with --file."
        )
    command = [npm, "pack", "--silent", f"{PACKAGE}@{VERSION}", "--pack-destination", str(scratch)]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_FETCH_S, cwd=scratch)
    except subprocess.TimeoutExpired:
        raise NightjarError(f"npm did not fetch {PACKAGE} {VERSION} within {_FETCH_S} s.") from None
    archives = list(scratch.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        said = " ".join(done.stderr.split())[-300:]
        raise NightjarError(f"npm could not fetch {PACKAGE} {VERSION}. It said: {said}")
    return archives[0]


def _verify(package: Path) -> None:
    with package.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    if base64.b64encode(digest).decode() != SHA512:
        raise NightjarError(f"{package.name} is not {PACKAGE} {VERSION}: its SHA-512 differs. Nothing was installed.")


def _unpack(package: Path, target: Path) -> None:
    with tarfile.open(package) as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if not member.isfile() or not path.is_relative_to(_CONTENT):
                continue
            inside = path.relative_to(_CONTENT)
            if ".." in inside.parts or inside.parts[0] in _LEFT_OUT_FOLDERS or inside.name in _LEFT_OUT:
                continue
            content = archive.extractfile(member)
            assert content is not None
            place = target / inside
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as file:
                shutil.copyfileobj(content, file)


def _adapt(folder: Path) -> None:
    """Make the changes, and keep beside each script what a browser takes compressed."""
    counts = [0] * len(_CHANGES)
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".js", ".css", ".wasm"):
            continue
        data = path.read_bytes()
        for number, (old, new, _) in enumerate(_CHANGES):
            counts[number] += data.count(old)
            data = data.replace(old, new)
        if path.suffix == ".css":
            data = data.replace(_FONT, b"url(" + PREFIX.encode())
        path.write_bytes(data)
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(data, 6, mtime=0))
    if counts != [count for _, _, count in _CHANGES]:
        raise NightjarError(f"{PACKAGE} {VERSION} is not built as expected ({counts} places to change). Not installed.")
