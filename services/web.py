"""The web part: triage's application with the pages of the other parts in it."""

from fastapi import FastAPI

from services.context import Context
from services.dicomweb.extension import EXTENSION as DICOMWEB
from services.ohif.extension import EXTENSION as OHIF
from services.review.extension import EXTENSION as REVIEW
from services.review.tasks import load_tasks
from services.triage import app

EXTENSIONS = (REVIEW, DICOMWEB, OHIF)


def create_app(context: Context) -> FastAPI:
    """Every page and address there is.

    Raises:
        SettingsError: a site's task types are wrong, or data_dir cannot keep the sign-in key.
    """
    load_tasks(context.settings.review.tasks)
    return app.create_app(context, EXTENSIONS)


def run(context: Context) -> None:
    """Serve them until SIGTERM or SIGINT."""
    load_tasks(context.settings.review.tasks)
    app.run(context, EXTENSIONS)
