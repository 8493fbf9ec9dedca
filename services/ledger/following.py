"""SQL of following an archive: how far its list of changes has been read."""

from dataclasses import dataclass

from services.ledger.database import Connection


@dataclass(frozen=True)
class Position:
    """How far a source was read.

    Attributes:
        archive: what the archive calls itself; "" where it does not say.
        change: number of the last change that was dealt with; None before the first look.
    """

    archive: str
    change: int | None


def lock_position(connection: Connection, source: str) -> Position | None:
    """The position, locked until the transaction ends; None while another router reads this source."""
    connection.execute("INSERT INTO source_position (source) VALUES (%s) ON CONFLICT (source) DO NOTHING", [source])
    row = connection.execute(
        "SELECT archive, change FROM source_position WHERE source = %s FOR UPDATE SKIP LOCKED", [source]
    ).fetchone()
    return None if row is None else Position(row["archive"], row["change"])


def move_position(connection: Connection, source: str, position: Position) -> None:
    """Write how far the source was read."""
    connection.execute(
        "UPDATE source_position SET archive = %s, change = %s, moved_at = clock_timestamp() WHERE source = %s",
        [position.archive, position.change, source],
    )


def is_result(connection: Connection, sop_instance_uid: str) -> bool:
    """Whether Nightjar made this instance itself."""
    row = connection.execute("SELECT 1 FROM result WHERE sop_instance_uid = %s", [sop_instance_uid]).fetchone()
    return row is not None
