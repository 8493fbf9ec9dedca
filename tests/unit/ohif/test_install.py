"""What is installed is the pinned release, laid out for its path, or nothing."""

import base64
import hashlib
import io
import stat
import tarfile
from pathlib import Path

import pytest

from services.errors import NightjarError
from services.ohif import install as module
from services.ohif.install import install

SCRIPT = b'x;__webpack_require__.p = "/";y'


def _package(path: Path, scripts: int = 8, **more: bytes) -> Path:
    files = {f"{number}.bundle.js": SCRIPT for number in range(scripts)}
    files["0.bundle.js"] += b"\n  if (isImagingMeasurementReport) {"
    files |= {"app.bundle.css": b"@font-face{src:url(/a.woff2)}", "index.html": b"theirs", "sw.js": b"worker"}
    with tarfile.open(path, "w:gz") as archive:
        for name, data in (files | more).items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("package/dist/link.js")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    package = _package(tmp_path / "ohif.tgz", **{"../../outside.js": SCRIPT, "ort/model.wasm": b"large"})
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    monkeypatch.setattr(module, "SHA512", digest)
    return package


def test_scripts_are_told_their_path_and_what_is_not_wanted_stays_out(pinned: Path, tmp_path: Path) -> None:
    for _ in range(2):
        folder = install(tmp_path / "data", pinned)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    scripts = {f"{number}.bundle.js" for number in range(8)}
    assert names == {name + end for name in (*scripts, "app.bundle.css") for end in ("", ".gz")}
    assert (folder / "3.bundle.js").read_bytes() == b'x;__webpack_require__.p = "/ohif/";y'
    assert b'displaySets[0].instance.Manufacturer !== "Nightjar") {' in (folder / "0.bundle.js").read_bytes()
    assert (folder / "app.bundle.css").read_bytes() == b"@font-face{src:url(/ohif/a.woff2)}"
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["ohif"]
    assert not list(tmp_path.rglob("outside.js"))
    assert stat.S_IMODE(folder.stat().st_mode) & 0o022 == 0


def test_another_package_is_refused_and_what_was_there_stays(pinned: Path, tmp_path: Path) -> None:
    folder = install(tmp_path / "data", pinned)
    with pytest.raises(NightjarError, match="SHA-512 differs"):
        install(tmp_path / "data", _package(tmp_path / "other.tgz", scripts=3))
    assert (folder / "0.bundle.js").exists()


def test_a_release_built_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = _package(tmp_path / "ohif.tgz", scripts=7)
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    monkeypatch.setattr(module, "SHA512", digest)
    with pytest.raises(NightjarError, match=r"\[7, 1\] places"):
        install(tmp_path / "data", package)
    assert list((tmp_path / "data").iterdir()) == []


def test_without_npm_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NightjarError, match="--file"):
        install(tmp_path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NightjarError, match="cannot be installed"):
        install(tmp_path, tmp_path / "none.tgz")
