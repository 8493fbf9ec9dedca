"""What the review brings to the web application."""

from pathlib import Path

from services.review import api, pages
from services.triage.site import Extension

_HERE = Path(__file__).parent

EXTENSION = Extension("review", (api.router, pages.router), templates=_HERE / "templates", static=_HERE / "static")
