"""What DICOMweb brings to the web application."""

from services.dicomweb import retrieve, search, store
from services.triage.site import Extension

EXTENSION = Extension("dicomweb", (search.router, retrieve.router, store.router))
