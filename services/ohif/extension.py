"""What OHIF brings to the web application: its files, and the way from a study to it."""

from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import FileResponse, RedirectResponse, Response

from services.dicomweb.access import Client
from services.languages import gettext, mark
from services.ledger import worklist
from services.ohif.install import FOLDER, PREFIX
from services.triage.site import Extension, SiteDependency, StudyLink, Viewer, audit

# Its libraries write styles into the page and compile code as they run (for a SEG); nothing comes from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob: data:; worker-src 'self' blob:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_OWN = Path(__file__).parent / "static"
_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".html": "text/html",
}
_ALWAYS = "private, max-age=31536000, immutable"  # their names change with their content

router = APIRouter(include_in_schema=False)


def is_installed(data_dir: Path) -> bool:
    return (data_dir / FOLDER).is_dir()


@lru_cache(maxsize=4)
def _files(folder: Path, _changed: int) -> dict[str, Path]:
    """What may be asked for, by name: nothing else is ever opened."""
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.suffix in _TYPES}


@router.get("/studies/{key}/ohif")
def open_in_ohif(request: Request, site: SiteDependency, account: Viewer, key: str) -> Response:
    """On to OHIF, which is told of a study by its UID in its own address; it knows no other way."""
    with site.connection() as connection:
        record = worklist.read_study(connection, key)
        if record is None or not is_installed(site.context.settings.data_dir):
            raise HTTPException(404, gettext("There is no such study here."))
        audit(connection, request, "ohif", account, study_uid=record.study.study_uid)
    return RedirectResponse(f"{PREFIX}viewer?StudyInstanceUIDs={quote(record.study.study_uid, safe='')}", 303)


@router.get(PREFIX + "{path:path}")
def show_ohif(request: Request, site: SiteDependency, account: Client, path: str) -> Response:  # noqa: ARG001
    """A file of OHIF, or its page for every address that is none of its files."""
    folder = site.context.settings.data_dir / FOLDER
    if not folder.is_dir():
        raise HTTPException(404, "OHIF is not installed here. `nightjar ohif install` does it.")
    if path == "app-config.js":
        return FileResponse(_OWN / path, media_type=_TYPES[".js"], headers={"Cache-Control": "no-cache"})
    file = _files(folder, folder.stat().st_mtime_ns).get(path)
    if file is None:
        if "." in path:
            raise HTTPException(404, gettext("There is no such page here."))
        return FileResponse(_OWN / "index.html", media_type=_TYPES[".html"], headers={"Cache-Control": "no-store"})
    headers = {"Cache-Control": _ALWAYS, "Vary": "Accept-Encoding"}
    packed = file.with_name(f"{file.name}.gz")
    if "gzip" in request.headers.get("accept-encoding", "") and packed.exists():
        return FileResponse(packed, media_type=_TYPES[file.suffix], headers={**headers, "Content-Encoding": "gzip"})
    return FileResponse(file, media_type=_TYPES[file.suffix], headers=headers)


EXTENSION = Extension(
    "ohif",
    (router,),
    policies={PREFIX: POLICY},
    study_links=(StudyLink(mark("Open in OHIF"), "ohif", lambda context: is_installed(context.settings.data_dir)),),
)
