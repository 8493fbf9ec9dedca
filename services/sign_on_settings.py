"""Settings of signing in by the hospital's own identity provider."""

from typing import Literal

from pydantic import Field, field_validator

from services.setting_types import Section

SiteRole = Literal["radiologist", "annotator", "reviewer", "arbiter", "administrator"]


class SignOnSettings(Section):
    """OpenID Connect."""

    issuer: str = Field(
        pattern=r"^(https://|http://127\.0\.0\.1[:/])[^@\s]+$",
        description="The provider's issuer; its `/.well-known/openid-configuration` says the rest.",
    )
    client_id: str = Field(min_length=1, description="How the provider knows Nightjar.")
    client_secret: str | None = Field(
        None, repr=False, description="What Nightjar shows it; without one, PKCE alone. Better given by environment."
    )
    pages_url: str = Field(
        pattern=r"^https?://[^@\s]+$",
        description="Address of the pages as browsers know it; the provider must allow it with /sign-in/return added.",
    )
    label: str | None = Field(
        None, max_length=60, description='What the page says behind "Sign in with", instead of "your hospital account".'
    )
    scopes: tuple[str, ...] = Field(("openid", "profile"), description="What is asked for; openid is among them.")
    name_claim: str = Field("preferred_username", description="The claim that names an account, up to an @.")
    roles_claim: str = Field("groups", description="The claim with the groups of a person; dots lead into objects.")
    roles: dict[str, SiteRole] = Field(description="The role of each group; who is in none of them may not sign in.")
    passwords: bool = Field(True, description="The page also asks for name and password, for local accounts.")

    @field_validator("scopes")
    @classmethod
    def _openid(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in scopes:
            raise ValueError("openid must be among the scopes")
        return scopes
