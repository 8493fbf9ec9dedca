"""Settings of the site's own keeper of audit trails."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from services.setting_types import Port, Section


class AuditRepository(Section):
    """Where every row of the audit trail is sent as well (PS3.15 A.5, by syslog)."""

    host: str = Field(min_length=1, description="Its name or address.")
    port: Port = Field(6514, description="Its port.")
    tls: bool = Field(True, description="Over TLS (RFC 5425), or plain TCP to a collector on the same machine.")
    certificate: Path | None = Field(None, description="What Nightjar shows it, PEM, where it asks for that.")
    key: Path | None = Field(None, description="The key of that certificate, PEM.")

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key come together")
        if self.certificate is not None and not self.tls:
            raise ValueError("a certificate is shown over TLS only")
        return self
