"""A real object store (rclone's S3 server, which checks signatures) on loopback; a folder is a bucket."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.chart import BIN
from support.ports import free_ports, wait_until_listens

from services.storage.bucket import Bucket
from services.storage.s3 import S3Store
from services.storage_settings import S3Settings

BUCKET = "nightjar"
ACCESS_KEY, SECRET = "TESTKEY", "a-secret-of-the-tests"


@contextmanager
def run_object_store(folder: Path, *, port: int | None = None, options: tuple[str, ...] = ()) -> Iterator[int]:
    """Serve `folder`; gives the port."""
    port = free_ports(1)[0] if port is None else port
    (folder / BUCKET).mkdir(parents=True, exist_ok=True)
    command = [BIN / "rclone", "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS_KEY},{SECRET}"]
    process = subprocess.Popen(
        [*command, *options, str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"RCLONE_CONFIG": "/dev/null"},
    )
    try:
        wait_until_listens(port, process)
        yield port
    finally:
        process.kill()
        process.wait()


def s3_settings(port: int, **changes: Any) -> S3Settings:
    """How that store is reached."""
    values = {
        "endpoint": f"http://127.0.0.1:{port}",
        "access_key": ACCESS_KEY,
        "secret": SECRET,
        "bucket": BUCKET,
        "prefix": "store/",
        "timeout_s": 20,
    }
    return S3Settings.model_validate(values | changes)


def s3_store(settings: S3Settings) -> S3Store:
    """A store as parts open it, unprobed."""
    return S3Store(Bucket(settings, settings.bucket, "storage.s3"), settings.prefix)


@pytest.fixture(scope="session")
def object_store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with run_object_store(tmp_path_factory.mktemp("objects")) as port:
        yield port


@pytest.fixture
def s3(object_store_server: int, request: pytest.FixtureRequest) -> S3Settings:
    """A prefix of the session's object store that nothing else writes below."""
    return s3_settings(object_store_server, prefix=f"{abs(hash(request.node.nodeid)):x}/")
