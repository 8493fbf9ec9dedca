"""The models this installation serves, as routing knows them."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from services.ledger.database import Connection, Pool


@dataclass(frozen=True)
class ServedModel:
    """A row of `model`: what routing needs to know of a card."""

    name: str
    version: str
    weights_digest: str
    roles: tuple[str, ...]
    optional_roles: tuple[str, ...]
    priority: int
    fewest: int = 0
    """So many of all roles are needed, whichever; 0: `roles` alone."""

    @property
    def read(self) -> tuple[str, ...]:
        """Roles without which it may not be able to work."""
        return (*self.roles, *self.optional_roles) if self.fewest else self.roles

    @property
    def needs(self) -> str:
        """The roles it needs, in words."""
        return f"{self.fewest} of {', '.join(self.read)}" if self.fewest else " and ".join(self.roles)

    def lacks(self, roles: Collection[str]) -> list[str]:
        """What must be there besides these; where the fewest are not, any of those named."""
        missing = [role for role in self.roles if role not in roles]
        if not missing and sum(role in roles for role in self.read) < self.fewest:
            return [role for role in self.read if role not in roles]
        return missing


def register_models(pool: Pool, models: Sequence[ServedModel]) -> None:
    """Write the served models; those no longer served disappear."""
    with pool.connection() as connection:
        connection.execute("DELETE FROM model WHERE name != ALL(%s)", [[model.name for model in models]])
        for model in models:
            connection.execute(
                """INSERT INTO model (name, version, weights_digest, roles, optional_roles, priority, fewest)
                   VALUES (%s, %s, %s, %s, %s, %s, %s)
                   ON CONFLICT (name) DO UPDATE SET version = excluded.version, roles = excluded.roles,
                       weights_digest = excluded.weights_digest, optional_roles = excluded.optional_roles,
                       priority = excluded.priority, fewest = excluded.fewest, registered_at = clock_timestamp()""",
                [
                    model.name,
                    model.version,
                    model.weights_digest,
                    list(model.roles),
                    list(model.optional_roles),
                    model.priority,
                    model.fewest,
                ],
            )


def served_models(connection: Connection) -> list[ServedModel]:
    """The served models, the most urgent first."""
    rows = connection.execute("SELECT * FROM model ORDER BY priority DESC, name").fetchall()
    return [
        ServedModel(
            row["name"],
            row["version"],
            row["weights_digest"],
            tuple(row["roles"]),
            tuple(row["optional_roles"]),
            row["priority"],
            row["fewest"],
        )
        for row in rows
    ]


@dataclass(frozen=True)
class Canary:
    """A version whose answers readers see for a share of the studies, 0 to 1."""

    version: str
    weights_digest: str
    share: float

    def shows(self, study_uid: str) -> bool:
        """Whether a study is among them: always the same ones."""
        return drawn(self.weights_digest, study_uid) < self.share


def drawn(weights_digest: str, study_uid: str) -> float:
    """A number from 0 to 1 that belongs to a study and a file of weights, as good as random."""
    return int.from_bytes(hashlib.sha256(f"{weights_digest}{study_uid}".encode()).digest()[:8]) / 2**64


def for_study(connection: Connection, study_uid: str) -> list[ServedModel]:
    """The models that answer for a study, the most urgent first: canaries in place of those they are tried against."""
    canaries = {
        row["model"]: Canary(row["version"], row["weights_digest"], row["share"])
        for row in connection.execute("SELECT * FROM canary").fetchall()
    }
    return [
        replace(model, version=canary.version, weights_digest=canary.weights_digest)
        if (canary := canaries.get(model.name)) is not None and canary.shows(study_uid)
        else model
        for model in served_models(connection)
    ]


def register_canaries(connection: Connection, canaries: Mapping[str, Canary]) -> None:
    """Write which canaries are served, by model; those no longer served end."""
    connection.execute("DELETE FROM canary WHERE model != ALL(%s)", [list(canaries)])
    for model, canary in canaries.items():
        connection.execute(
            """INSERT INTO canary (model, version, weights_digest, share) VALUES (%s, %s, %s, %s)
               ON CONFLICT (model) DO UPDATE SET version = excluded.version, weights_digest = excluded.weights_digest,
                   share = excluded.share""",
            [model, canary.version, canary.weights_digest, canary.share],
        )


def end_canary(connection: Connection, model: str) -> None:
    """From here on the live version answers for every study."""
    connection.execute("DELETE FROM canary WHERE model = %s", [model])


def registered_weights(connection: Connection, model: str, study_uid: str) -> str | None:
    """Digest of the weights that answer for a study under a name."""
    return next((one.weights_digest for one in for_study(connection, study_uid) if one.name == model), None)
