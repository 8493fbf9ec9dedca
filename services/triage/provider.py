"""The hospital's identity provider: OpenID Connect, authorization code with PKCE, by Authlib."""

from collections.abc import Mapping
from typing import Any, cast

from authlib.integrations.starlette_client import OAuth, OAuthError
from fastapi import Request
from itsdangerous import URLSafeTimedSerializer
from starlette.responses import Response

from services.ledger.accounts import Role
from services.ledger.provided_accounts import Person
from services.sign_on_settings import SignOnSettings

RETURN = "/sign-in/return"

_PROVIDER = "provider"


class Provider:
    """The identity provider, its metadata and keys kept for the life of the process."""

    def __init__(self, settings: SignOnSettings, key: str) -> None:
        self.settings = settings
        self.ongoing = URLSafeTimedSerializer(key, salt="nightjar.sign-on")
        self._client: Any = OAuth().register(
            _PROVIDER,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            server_metadata_url=f"{settings.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": " ".join(settings.scopes),
                "code_challenge_method": "S256",
                "timeout": 10,
                "token_endpoint_auth_method": "client_secret_basic" if settings.client_secret else "none",
            },
        )

    async def send_there(self, request: Request) -> Response:
        """A redirect to the provider; what must be known on return is left in `request.session`."""
        await self._check_issuer()
        back = f"{self.settings.pages_url.rstrip('/')}{RETURN}"
        return cast("Response", await self._client.authorize_redirect(request, back))

    async def person(self, request: Request) -> Person:
        """Who came back.

        Raises:
            OAuthError, JoseError: the provider, or its token, does not say who; the sign-in was not begun here.
            httpx2.HTTPError: the provider does not answer.
            Reject: they have no name or no role here; a sentence.
        """
        await self._check_issuer()
        token = await self._client.authorize_access_token(request)
        claims = token.get("userinfo")
        if not claims:
            raise OAuthError(error="no_id_token")
        if _claim(claims, self.settings.name_claim) is None or _claim(claims, self.settings.roles_claim) is None:
            more = await self._client.userinfo(token=token)
            if more.get("sub") != claims["sub"]:
                raise OAuthError(error="another_subject")
            claims = {**more, **claims}
        return _person(claims, self.settings)

    async def _check_issuer(self) -> None:
        """The metadata must be of the issuer that was asked (OpenID Connect Discovery 4.3)."""
        metadata = await self._client.load_server_metadata()
        if metadata.get("issuer") != self.settings.issuer:
            raise OAuthError(error="another_issuer")


def _person(claims: Mapping[str, Any], settings: SignOnSettings) -> Person:
    called, given = _claim(claims, settings.name_claim), _claim(claims, settings.roles_claim)
    name = called.partition("@")[0].strip().lower() if isinstance(called, str) else ""
    groups = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    roles = frozenset(Role(settings.roles[group]) for group in groups if group in settings.roles)
    return Person(f"{settings.issuer}|{claims['sub']}", name, roles)


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, or by the way to it through objects; None: there is none."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
