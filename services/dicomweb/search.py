"""QIDO-RS (PS3.18 10.6): studies, series and instances by their attributes."""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from starlette.responses import Response

from services.dicomweb.access import Client, audit
from services.dicomweb.addresses import PREFIX, base_url, check_json
from services.dicomweb.dicom_json import Json, attribute, dumps, encode_dataset
from services.dicomweb.matching import InvalidQuery, Level, Query, read_query
from services.dicomweb.media import DICOM_JSON
from services.ledger import holdings
from services.ledger.accounts import Account
from services.ledger.holdings import Condition, Found
from services.storage import Store
from services.triage.site import Site, SiteDependency

MOST = {Level.STUDY: 1000, Level.SERIES: 5000, Level.INSTANCE: 20000}
"""Answers to one request, however many are asked for."""

router = APIRouter(prefix=PREFIX, include_in_schema=False)

_FIND: dict[Level, Callable[..., list[Found]]] = {
    Level.STUDY: holdings.find_studies,
    Level.SERIES: holdings.find_series,
    Level.INSTANCE: holdings.find_instances,
}
# What an answer has (PS3.18 10.6.3.3), by the ledger's columns.
_STUDY = {
    "StudyDate": "study_date",
    "StudyTime": "study_time",
    "AccessionNumber": "accession_number",
    "ReferringPhysicianName": "referring_physician",
    "PatientName": "patient_name",
    "PatientID": "patient_id",
    "PatientBirthDate": "patient_birth_date",
    "PatientSex": "patient_sex",
    "StudyID": "study_id",
    "StudyDescription": "study_description",
}
_STUDY_COUNTS = {
    "ModalitiesInStudy": "modalities",
    "NumberOfStudyRelatedSeries": "study_series",
    "NumberOfStudyRelatedInstances": "study_instances",
}
_SERIES = {
    "Modality": "modality",
    "SeriesDescription": "series_description",
    "BodyPartExamined": "body_part",
    "SeriesNumber": "series_number",
    "NumberOfSeriesRelatedInstances": "series_instances",
}
_INSTANCE = {"SOPClassUID": "sop_class_uid", "AvailableTransferSyntaxUID": "transfer_syntax_uid"}
_COUNTS = ("InstanceNumber", "Rows", "Columns", "BitsAllocated", "NumberOfFrames")
# What `includefield=all` adds, where the header has it.
_ALL = {
    Level.STUDY: (
        "TimezoneOffsetFromUTC", "InstitutionName", "OtherPatientIDs", "IssuerOfPatientID", "PatientAge", "PatientSize",
        "PatientWeight", "PatientComments", "AdditionalPatientHistory", "AdmittingDiagnosesDescription",
        "ReasonForStudy", "StudyComments",
    ),
    Level.SERIES: (
        "SeriesDate", "SeriesTime", "ProtocolName", "Laterality", "PerformingPhysicianName", "OperatorsName",
        "Manufacturer", "ManufacturerModelName", "StationName", "PatientPosition", "FrameOfReferenceUID",
        "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime",
    ),
    Level.INSTANCE: (
        "ImageType", "ContentDate", "ContentTime", "AcquisitionDate", "AcquisitionTime", "AcquisitionNumber",
        "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "ContentLabel",
        "ContentDescription", "CompletionFlag", "VerificationFlag", "ConceptNameCodeSequence",
    ),
}  # fmt: skip


@router.get("/studies")
def search_studies(request: Request, site: SiteDependency, account: Client) -> Response:
    return _search(request, site, account, Level.STUDY)


@router.get("/series")
def search_all_series(request: Request, site: SiteDependency, account: Client) -> Response:
    return _search(request, site, account, Level.SERIES)


@router.get("/studies/{study}/series")
def search_series(request: Request, site: SiteDependency, account: Client, study: str) -> Response:
    return _search(request, site, account, Level.SERIES, study)


@router.get("/instances")
def search_all_instances(request: Request, site: SiteDependency, account: Client) -> Response:
    return _search(request, site, account, Level.INSTANCE)


@router.get("/studies/{study}/instances")
def search_instances_of_study(request: Request, site: SiteDependency, account: Client, study: str) -> Response:
    return _search(request, site, account, Level.INSTANCE, study)


@router.get("/studies/{study}/series/{series}/instances")
def search_instances(request: Request, site: SiteDependency, account: Client, study: str, series: str) -> Response:
    return _search(request, site, account, Level.INSTANCE, study, series)


def _search(
    request: Request, site: Site, account: Account, level: Level, study: str | None = None, series: str | None = None
) -> Response:
    check_json(request)
    try:
        query = read_query(request.query_params.multi_items(), level)
    except InvalidQuery as error:
        raise HTTPException(400, str(error)) from error
    conditions = list(query.conditions)
    if study is not None:
        conditions.append(Condition("study.study_uid = %s", [study]))
    if series is not None:
        conditions.append(Condition("held_series.series_uid = %s", [series]))
    limit = MOST[level] if query.limit is None else min(query.limit, MOST[level])
    audit(site, request, account, "DICOMweb search", study)
    with site.connection() as connection:
        found = _FIND[level](connection, conditions, limit + 1, query.offset)
    warnings = list(query.warnings)
    if len(found) > limit and (query.limit is None or query.limit > limit):
        warnings.append(f"There are more than {limit}; ask for the next with offset={query.offset + limit}.")
    base = base_url(request)
    answer = [_describe(site.context.store, each, level, query, base, scope=(study, series)) for each in found[:limit]]
    headers = {"Warning": ", ".join(f'299 nightjar "{warning}"' for warning in warnings)} if warnings else {}
    if not answer:
        return Response(status_code=204, headers=headers)
    return Response(dumps(answer), media_type=DICOM_JSON, headers=headers)


def _describe(
    store: Store, found: Found, level: Level, query: Query, base: str, scope: tuple[str | None, str | None]
) -> Json:
    """One match: attributes of its level, and of those above where the address does not say which they are."""
    values = found.values
    known: dict[str, Any] = {"InstanceAvailability": "ONLINE", "StudyInstanceUID": values["study_uid"]}
    url = f"{base}/studies/{values['study_uid']}"
    if level is Level.STUDY or scope[0] is None:
        known |= {keyword: values[column] for keyword, column in _STUDY.items()}
    if level is Level.STUDY:
        known |= {keyword: values[column] for keyword, column in _STUDY_COUNTS.items()}
    else:
        known["SeriesInstanceUID"] = values["series_uid"]
        url += f"/series/{values['series_uid']}"
    if level is Level.SERIES or (level is Level.INSTANCE and scope[1] is None):
        known |= {keyword: values[column] for keyword, column in _SERIES.items()}
    if level is Level.INSTANCE:
        known |= {keyword: values[column] for keyword, column in _INSTANCE.items()}
        known |= {keyword: found.attributes[keyword] for keyword in _COUNTS if keyword in found.attributes}
        known["SOPInstanceUID"] = values["sop_instance_uid"]
        url += f"/instances/{values['sop_instance_uid']}"
    known["RetrieveURL"] = url
    above = {} if level is Level.STUDY else _STUDY | _SERIES
    known |= {name: values[column] for name, column in above.items() if name in query.include and name not in known}
    answer = dict(attribute(keyword, value) for keyword, value in known.items())
    wanted = [*query.include, *(_ALL[level] if query.everything else ())]
    more = [keyword for keyword in wanted if keyword not in known]
    if more:
        answer = _from_header(store, found.digest, more, url) | answer
    return dict(sorted(answer.items()))


def _from_header(store: Store, digest: str, keywords: Sequence[str], url: str) -> Json:
    """Attributes that the ledger does not keep, from an instance that has them; a look into a file each."""
    tags = [int(tag_for_keyword(keyword) or 0) for keyword in keywords]
    charset = int(tag_for_keyword("SpecificCharacterSet") or 0)
    try:
        with store.open(digest) as file:
            header = dcmread(file, stop_before_pixels=True, specific_tags=[*tags, charset])
    except KeyError:
        return {}
    encoded = encode_dataset(header, f"{url}/bulkdata")
    return {tag: value for tag, value in encoded.items() if int(tag, 16) in tags}
