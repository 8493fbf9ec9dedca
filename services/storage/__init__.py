"""Instance bytes under a digest, never under a name from the wire."""

from services.storage.local import LocalStore
from services.storage.opening import open_store
from services.storage.store import Store

__all__ = ["LocalStore", "Store", "open_store"]
