"""What the viewer needs to know of images: series, the instances in them, and the labels drawn on them."""

import hashlib
from dataclasses import dataclass
from typing import Any

from services.ledger.database import Connection
from services.ledger.routing import combine_digests

# Series of these modalities hold no images.
_NO_IMAGES = ("SR", "SEG", "PR", "KO", "DOC", "RTSTRUCT", "REG", "AU", "ECG")


@dataclass(frozen=True)
class ImageSeries:
    """A series of a study that may be looked at; `key` is what addresses call it, `number` as the scanner counts."""

    series_uid: str
    key: str
    number: int | None
    description: str | None
    modality: str | None
    role: str | None
    instances: int


@dataclass(frozen=True)
class InstanceFacts:
    """One usable instance: its storage key, and routing attributes by DICOM keyword."""

    digest: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class SeriesContent:
    """The usable instances of one series.

    Attributes:
        digest: of the content; the digest of an analysis that used this series alone is the same.
    """

    study_uid: str
    series_uid: str
    modality: str | None
    instances: tuple[InstanceFacts, ...]
    digest: str


@dataclass(frozen=True)
class LabelFacts:
    """Where the labels of an answer are, and what they lie on.

    Attributes:
        inputs: series by role.
        is_current: whether its inputs still hold exactly the instances it was given.
    """

    analysis_id: int
    study_uid: str
    model: str
    model_version: str
    inputs: dict[str, str]
    segmentation_key: str | None
    is_current: bool


@dataclass(frozen=True)
class EnhancedFacts:
    """An answer that is an image, and the series it was made of.

    Attributes:
        is_current: whether that series still holds exactly the instances the model was given.
    """

    study_uid: str
    model: str
    model_version: str
    image_key: str
    content: SeriesContent
    is_current: bool


def key_of(uid: str) -> str:
    """What addresses call a study or series."""
    return hashlib.md5(uid.encode(), usedforsecurity=False).hexdigest()


def list_image_series(connection: Connection, study_uid: str) -> list[ImageSeries]:
    """The series of a study that hold images, in the scanner's order."""
    rows = connection.execute(
        """SELECT series_uid, md5(series_uid) AS key, series_number AS number, description, modality, role, instances
           FROM series WHERE study_uid = %s AND instances > 0 AND coalesce(modality, '') != ALL(%s)
           ORDER BY series_number NULLS LAST, series_uid""",
        [study_uid, list(_NO_IMAGES)],
    ).fetchall()
    return [ImageSeries(**row) for row in rows]


def read_content(connection: Connection, study_key: str, series_key: str) -> SeriesContent | None:
    """The instances of a series by the keys of addresses; None when there is no such series in that study."""
    row = connection.execute(
        """SELECT study_uid, series_uid, modality FROM series
           WHERE md5(series_uid) = %s AND study_uid = (SELECT study_uid FROM study WHERE md5(study_uid) = %s)""",
        [series_key, study_key],
    ).fetchone()
    if row is None:
        return None
    instances = connection.execute(
        "SELECT digest, attributes FROM instance WHERE series_uid = %s AND NOT conflict ORDER BY id",
        [row["series_uid"]],
    ).fetchall()
    digests = sorted(instance["digest"] for instance in instances)
    return SeriesContent(
        study_uid=row["study_uid"],
        series_uid=row["series_uid"],
        modality=row["modality"],
        instances=tuple(InstanceFacts(**instance) for instance in instances),
        digest=combine_digests(digests),
    )


def list_labels(connection: Connection, study_uid: str) -> dict[int, LabelFacts]:
    """The labels of a study's current answers, by analysis."""
    rows = connection.execute(
        """SELECT id, model, model_version, inputs, input_digest, segmentation_key,
                  (SELECT array_agg(i.digest ORDER BY i.digest) FROM instance i
                   WHERE NOT i.conflict AND i.series_uid IN (SELECT value FROM jsonb_each_text(inputs))) AS digests
           FROM analysis WHERE study_uid = %s AND state = 'analysed'""",
        [study_uid],
    ).fetchall()
    return {
        row["id"]: LabelFacts(
            analysis_id=row["id"],
            study_uid=study_uid,
            model=row["model"],
            model_version=row["model_version"],
            inputs=row["inputs"],
            segmentation_key=row["segmentation_key"],
            is_current=row["input_digest"] == combine_digests(row["digests"] or []),
        )
        for row in rows
    }


def read_enhanced(connection: Connection, study_key: str, analysis_id: int) -> EnhancedFacts | None:
    """An answer that is an image; None when there is no such answer to that study."""
    row = connection.execute(
        """SELECT study_uid, model, model_version, image_key, input_digest,
                  (SELECT md5(value) FROM jsonb_each_text(inputs) LIMIT 1) AS series_key
           FROM analysis WHERE id = %s AND md5(study_uid) = %s AND state = 'analysed' AND image_key IS NOT NULL""",
        [analysis_id, study_key],
    ).fetchone()
    content = None if row is None else read_content(connection, study_key, row.pop("series_key"))
    if row is None or content is None:
        return None
    is_current = row.pop("input_digest") == content.digest
    return EnhancedFacts(**row, content=content, is_current=is_current)
