"""The models this installation serves, as routing knows them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

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


def registered_weights(connection: Connection, model: str) -> str | None:
    """Digest of the weights this installation serves under a name."""
    row = connection.execute("SELECT weights_digest FROM model WHERE name = %s", [model]).fetchone()
    return None if row is None else str(row["weights_digest"])
