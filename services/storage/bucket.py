"""A bucket of an object store (S3). The only module that knows boto3.

Every failure becomes a sentence of `services.errors`; none quotes an answer of the store's, which may name keys.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import boto3.session
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSLError,
)

from services.errors import SettingsError, StoreAway, StoreRefuses
from services.storage_settings import S3Connection

TRIES = 2
CONNECTIONS = 32
ABSENT = ("NoSuchKey", "NotFound", "404")
WRONG_KEY = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthorizationHeaderMalformed", "InvalidToken")
FORBIDDEN = ("AccessDenied", "Forbidden", "403", "AllAccessDisabled")
NEEDED = "s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject"


class Bucket:
    """Objects by key. What `put` and `upload` returned for, the store has acknowledged.

    Args:
        setting: where the connection's settings stand, for messages.

    Every method raises StoreAway when the store does not answer, and StoreRefuses when it answers and will not.
    """

    def __init__(self, connection: S3Connection, name: str, setting: str) -> None:
        self._name, self._setting, self._timeout_s = name, setting, connection.timeout_s
        if connection.authorities is not None and not connection.authorities.is_file():
            raise SettingsError(f"{setting}.authorities = {connection.authorities}: there is no such file.")
        with self._translated():
            self._client = boto3.session.Session().client(
                "s3",
                endpoint_url=connection.endpoint,
                region_name=connection.region,
                aws_access_key_id=connection.access_key,
                aws_secret_access_key=connection.secret,
                verify=None if connection.authorities is None else str(connection.authorities),
                config=Config(
                    connect_timeout=connection.timeout_s,
                    read_timeout=connection.timeout_s,
                    retries={"total_max_attempts": TRIES, "mode": "standard"},
                    max_pool_connections=CONNECTIONS,
                    s3={"addressing_style": "path" if connection.path_style else "virtual"},
                    # Digests that not every store of another maker's knows; MD5, which all do, is sent where bytes are.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )

    def __str__(self) -> str:
        return f"s3://{self._name} at {self._client.meta.endpoint_url}"

    def check(self, prefix: str, *, write: bool) -> None:
        """Return when the bucket can be used below `prefix`."""
        with self._translated():
            self._client.list_objects_v2(Bucket=self._name, Prefix=prefix, MaxKeys=1)
        if write:
            probe = f"{prefix}.probe"
            self.put(probe, b"")
            self.remove(probe)

    def put(self, key: str, data: bytes) -> None:
        with self._translated():
            self._client.put_object(Bucket=self._name, Key=key, Body=data, ContentMD5=_md5(data))

    def get(self, key: str) -> bytes:
        """The object's bytes; KeyError when there is none."""
        with self._translated():
            body: bytes = self._client.get_object(Bucket=self._name, Key=key)["Body"].read()
            return body

    def written_at(self, key: str) -> datetime | None:
        """When it was last written, by the store's clock; None when there is no such object."""
        try:
            with self._translated():
                moment: datetime = self._client.head_object(Bucket=self._name, Key=key)["LastModified"]
                return moment
        except KeyError:
            return None

    def touch(self, key: str) -> None:
        """Write the object anew as it is; KeyError when there is none."""
        with self._translated():
            self._client.copy_object(
                Bucket=self._name,
                Key=key,
                CopySource={"Bucket": self._name, "Key": key},
                MetadataDirective="REPLACE",
            )

    def remove(self, key: str) -> None:
        with self._translated():
            self._client.delete_object(Bucket=self._name, Key=key)

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys that begin with `prefix`, in order."""
        with self._translated():
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    yield str(entry["Key"])

    def upload(self, file: Path, key: str) -> None:
        """A file of any size, in parts where it is large."""
        with self._translated(), file.open("rb") as content:
            self._client.upload_fileobj(content, self._name, key)

    def download(self, key: str, file: Path) -> None:
        """KeyError when there is no such object."""
        with self._translated(), file.open("wb") as content:
            self._client.download_fileobj(self._name, key, content)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in ABSENT:
                raise KeyError(code) from None
            raise self._refusal(code, error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) from None
        except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError):
            raise StoreRefuses(
                f"{self._setting}: no access key is known. Set {self._setting}.access_key and .secret, or "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod a role."
            ) from None
        except SSLError:
            raise StoreRefuses(
                f"{self} does not speak TLS, or shows a certificate that is not trusted. Name its authority in "
                f"{self._setting}.authorities."
            ) from None
        except (ConnectTimeoutError, ReadTimeoutError):
            raise StoreAway(f"{self} did not answer within {self._timeout_s:g} s.") from None
        except ValueError as error:
            if not str(error).startswith("Invalid endpoint"):
                raise
            raise SettingsError(f"{self._setting}.endpoint: this is no address of an object store.") from None
        except (BotoCoreError, Boto3Error) as error:
            raise StoreAway(f"{self} does not answer ({type(error).__name__}).") from None

    def _refusal(self, code: str, status: int) -> StoreAway:
        if code == "NoSuchBucket":
            return StoreRefuses(f"{self}: there is no such bucket. Make it, or name another.")
        if code in WRONG_KEY:
            return StoreRefuses(
                f"{self} refuses the access key or its secret ({code}). Set {self._setting}.access_key and .secret."
            )
        if code in FORBIDDEN:
            return StoreRefuses(f"{self}: this access key may not do all that it must ({code}). It needs {NEEDED}.")
        if status < 500:
            return StoreRefuses(f"{self} refused a request ({code or status}).")
        return StoreAway(f"{self} could not answer ({code or status}).")


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
