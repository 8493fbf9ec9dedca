"""SQL of retention: whose images may leave the store, which bytes are theirs alone, and the note that they left."""

from collections.abc import Sequence
from datetime import datetime

from services.ledger.database import Connection
from services.ledger.jobs import record_event

_OVER = """
    s.last_instance_at < %(before)s AND (s.expired_at IS NULL OR s.expired_at < s.last_instance_at)
    AND s.state IN ('analysed', 'not_applicable', 'failed', 'parked')
    AND NOT EXISTS (SELECT FROM result r JOIN delivery d ON d.result_id = r.id
                    WHERE r.study_uid = s.study_uid AND d.state IN ('pending', 'parked'))
    AND NOT EXISTS (SELECT FROM workitem w WHERE w.study_uid = s.study_uid)
    AND NOT EXISTS (SELECT FROM reader_study_image i WHERE i.study_uid = s.study_uid)
"""

# What models drew and their pictures may be the same for two studies; images and results hold their study's UID.
_DRAWN = """
    SELECT key FROM (
        SELECT a.study_uid, unnest(ARRAY[a.segmentation_key, a.image_key, a.preview_key, x.segmentation_key]) AS key
        FROM analysis a LEFT JOIN shadow_answer x ON x.analysis_id = a.id
    ) AS drawn JOIN study USING (study_uid) WHERE key IS NOT NULL AND {which}
"""


def count_over(connection: Connection, before: datetime) -> int:
    """Studies whose images may go: silent since then, ended, delivered, and in nobody's correction or reader study."""
    row = connection.execute(f"SELECT count(*) AS n FROM study s WHERE {_OVER}".encode(), {"before": before}).fetchone()
    return 0 if row is None else int(row["n"])


def lock_over(connection: Connection, before: datetime, limit: int) -> list[str]:
    """Some of them, the oldest first; nothing of theirs can arrive until the transaction ends."""
    query = f"""SELECT s.study_uid FROM study s WHERE {_OVER}
                ORDER BY s.last_instance_at LIMIT %(limit)s FOR UPDATE OF s SKIP LOCKED"""
    rows = connection.execute(query.encode(), {"before": before, "limit": limit}).fetchall()
    return [row["study_uid"] for row in rows]


def keys_of(connection: Connection, studies: Sequence[str]) -> list[str]:
    """Storage keys that only these studies speak of."""
    theirs = "study_uid = ANY(%(studies)s)"
    others = "NOT study_uid = ANY(%(studies)s) AND (expired_at IS NULL OR expired_at < last_instance_at)"
    query = f"""
        SELECT digest AS key FROM instance WHERE {theirs}
        UNION SELECT digest FROM result WHERE {theirs}
        UNION ({_DRAWN.format(which=theirs)} EXCEPT {_DRAWN.format(which=others)}
               EXCEPT SELECT unnest(ARRAY[mask_digest, base_digest]) FROM annotation)
    """
    return [row["key"] for row in connection.execute(query.encode(), {"studies": list(studies)}).fetchall()]


def mark_expired(connection: Connection, studies: Sequence[str], now: datetime) -> None:
    """Note that the bytes of these studies are gone; everything else that is known of them stays."""
    connection.execute("UPDATE study SET expired_at = %s WHERE study_uid = ANY(%s)", [now, list(studies)])
    for study_uid in studies:
        record_event(connection, "study", study_uid, "expired", study_uid=study_uid)
