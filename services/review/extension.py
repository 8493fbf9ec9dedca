"""What the review brings to the web application."""

from pathlib import Path

from services.review import api, downloads, editor, experts, pages, reader_api, reader_pages, task_pages, upload
from services.triage.site import Extension

_HERE = Path(__file__).parent

EXTENSION = Extension(
    "review",
    (
        api.router,
        experts.router,
        reader_api.router,
        reader_pages.router,
        task_pages.router,
        pages.router,
        editor.router,
        downloads.router,
        upload.router,
    ),
    templates=_HERE / "templates",
    static=_HERE / "static",
)
