"""A real OpenID provider on a loopback port, and a person who goes through it with a browser of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from oidc_provider_mock import run_server_in_thread

from services.context import Context
from services.sign_on_settings import SignOnSettings

CLIENT_ID = "nightjar"
ROLES = {"radiology": "radiologist", "neuro-review": "reviewer", "pacs-team": "administrator"}


@dataclass(frozen=True)
class IdentityProvider:
    """The address of a provider whose people are made by `set_person`."""

    issuer: str

    def set_person(self, subject: str, **claims: object) -> None:
        httpx.put(f"{self.issuer}/users/{subject}", json=claims).raise_for_status()

    def approve(self, address: str, subject: str, **changed: str) -> str:
        """Where the provider sends a person back to who agreed; `changed` are parameters somebody tampered with."""
        parts = urlsplit(address)
        query = {key: value for key, [value] in parse_qs(parts.query).items()} | changed
        answer = httpx.post(f"{parts.scheme}://{parts.netloc}{parts.path}?{urlencode(query)}", data={"sub": subject})
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]


@contextmanager
def run_identity_provider(*, token_age: timedelta = timedelta(hours=1)) -> Iterator[IdentityProvider]:
    with run_server_in_thread(require_nonce=True, access_token_max_age=token_age) as server:
        yield IdentityProvider(f"http://127.0.0.1:{server.server_port}")


def with_sign_on(context: Context, issuer: str, **values: object) -> Context:
    """The context of a site whose people sign in there."""
    sign_on = SignOnSettings(
        **{
            "issuer": issuer,
            "client_id": CLIENT_ID,
            "client_secret": "s",
            "pages_url": "http://pages.example",
            "roles": ROLES,
            **values,
        }  # type: ignore[arg-type]
    )
    web = context.settings.web.model_copy(update={"sign_on": sign_on})
    return replace(context, settings=context.settings.model_copy(update={"web": web}))
