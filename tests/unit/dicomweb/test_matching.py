"""Query parameters as conditions: what is matched, what is left out with a warning, what is refused."""

import pytest

from services.dicomweb.matching import InvalidQuery, Level, read_query


def _read(level: Level = Level.STUDY, **parameters: str) -> list[tuple[str, list[object]]]:
    query = read_query(parameters.items(), level)
    assert query.warnings == ()
    return [(condition.sql, list(condition.values)) for condition in query.conditions]


def test_wildcards_are_dicoms_and_what_sql_would_take_for_one_is_literal() -> None:
    assert _read(PatientID="A*1?_%\\") == [("study.patient_id LIKE %s", ["A%1_\\_\\%\\\\"])]


def test_keywords_and_tags_name_the_same() -> None:
    assert _read(PatientID="P1") == _read(**{"00100020": "P1"})


def test_an_empty_value_or_a_lone_star_matches_anything_and_is_returned() -> None:
    query = read_query([("PatientName", ""), ("StudyID", "*")], Level.STUDY)
    assert query.conditions == ()
    assert query.include == ("PatientName", "StudyID")


@pytest.mark.parametrize(
    ("value", "sql", "values"),
    [
        ("20260102", "study.study_date = %s", ["20260102"]),
        ("20260102-", "study.study_date >= %s", ["20260102"]),
        ("-20260102", "study.study_date <> '' AND study.study_date <= %s", ["20260102"]),
        ("20260102-20260103", "study.study_date BETWEEN %s AND %s", ["20260102", "20260103"]),
    ],
)
def test_dates_may_be_ranges(value: str, sql: str, values: list[str]) -> None:
    assert _read(StudyDate=value) == [(sql, values)]


@pytest.mark.parametrize(
    ("value", "values"),
    [
        ("03", ["030000", "039999"]),
        ("030405.5", ["030405", "030405"]),
        ("0304-0506", ["030400", "050699"]),
        ("-0506", ["050699"]),
        ("0304-", ["030400"]),
    ],
)
def test_times_may_be_short_and_ranges(value: str, values: list[str]) -> None:
    assert _read(StudyTime=value)[0][1] == values


def test_lists_are_of_uids_and_codes() -> None:
    assert _read(StudyInstanceUID="1.2,1.3")[0][1] == [["1.2", "1.3"]]
    assert _read(ModalitiesInStudy="CT\\MR")[0][1] == [["CT", "MR"]]


def test_what_is_not_matched_is_said() -> None:
    query = read_query(
        [("fuzzymatching", "true"), ("Modality", "CT"), ("NoSuchKeyword", "x"), ("00400275.00400009", "y")], Level.STUDY
    )
    assert query.conditions == ()
    assert len(query.warnings) == 4
    assert read_query([("fuzzymatching", "false")], Level.STUDY).warnings == ()
    assert len(read_query([("Modality", "CT")], Level.SERIES).conditions) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "-1"),
        ("offset", "x"),
        ("limit", "9" * 12),
        ("StudyDate", "yesterday"),
        ("StudyDate", "-"),
        ("StudyTime", "3 pm"),
        ("SeriesNumber", "2; DROP TABLE study"),
    ],
)
def test_what_cannot_be_read_is_refused_without_quoting_it(name: str, value: str) -> None:
    with pytest.raises(InvalidQuery) as raised:
        read_query([(name, value)], Level.INSTANCE)
    assert value not in str(raised.value) or value == "-"


def test_fields_to_include_come_as_keywords_and_once() -> None:
    query = read_query([("includefield", "00080060,PatientAge"), ("includefield", "all"), ("limit", "3")], Level.STUDY)
    assert (query.include, query.everything, query.limit, query.offset) == (("Modality", "PatientAge"), True, 3, 0)
