"""A hospital edits one file: every mistake in it is named at once, and nothing secret is repeated."""

from pathlib import Path

import pytest

from services.errors import SettingsError
from services.settings import Settings, load_settings


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_need_no_file() -> None:
    settings = load_settings(None)
    assert (settings.router.ae_title, settings.router.port, settings.web.port) == ("NIGHTJAR", 11112, 8080)


def test_every_mistake_is_listed_with_its_value(tmp_path: Path) -> None:
    path = written(tmp_path, "router: {port: 99999, titel: X}\nweb: {port: 0}\nsurprise: 1\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert any(line.startswith("router.port = 99999:") for line in lines)
    assert "router.titel: unknown setting." in lines
    assert "surprise: unknown setting." in lines


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ("[priority, patient]", "cannot do without ai"),
        ("[priority, patient, ai, ai]", "a column stands there twice"),
        ("[priority, patient, ai, probability]", "web.columns.3 = probability"),
    ],
)
def test_the_worklists_columns_are_known_and_never_hide_what_the_ai_says(
    tmp_path: Path, columns: str, sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load_settings(written(tmp_path, f"web: {{columns: {columns}}}\n"))


@pytest.mark.parametrize(
    "address", ["javascript:alert('{study_uid}')", "https://pacs/", "https://pacs/?name={patient_name}", "https://{0}"]
)
def test_the_address_of_the_pacs_names_the_study_and_nothing_unknown(tmp_path: Path, address: str) -> None:
    with pytest.raises(SettingsError, match=r"web\.pacs_url"):
        load_settings(written(tmp_path, f'web: {{pacs_url: "{address}"}}\n'))


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "router: {port: 104, ae_title: NIGHT}\n")
    monkeypatch.setenv("NIGHTJAR_ROUTER__PORT", "11113")
    settings = load_settings(path)
    assert (settings.router.port, settings.router.ae_title) == (11113, "NIGHT")


@pytest.mark.parametrize(
    ("destination", "sentence"),
    [
        ("{name: pacs, kind: dicom}", "needs ae_title and host and port"),
        ("{name: pacs, kind: orthanc}", "needs url"),
        ("{name: 'a b', kind: orthanc, url: 'http://x'}", "destinations.0.name"),
    ],
)
def test_a_destination_says_what_it_lacks(tmp_path: Path, destination: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load_settings(written(tmp_path, f"destinations: [{destination}]"))


@pytest.mark.parametrize("what", ["sources", "destinations"])
def test_two_of_a_kind_need_two_names(tmp_path: Path, what: str) -> None:
    one = "{name: pacs, kind: orthanc, url: 'http://x'}"
    with pytest.raises(SettingsError, match=f"two {what} are called pacs"):
        load_settings(written(tmp_path, f"{what}: [{one}, {one}]"))


def test_a_password_is_never_repeated(tmp_path: Path) -> None:
    path = written(tmp_path, "destinations: [{name: pacs, kind: orthanc, url: 'http://x', password: [hunter2]}]")
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["router: [", "- 1\n- 2\n", "router: 3"])
def test_what_is_no_mapping_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError):
        load_settings(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.yaml: No such file"):
        load_settings(tmp_path / "absent.yaml")


def test_no_database_is_named() -> None:
    with pytest.raises(SettingsError, match=r"database\.url is missing"):
        _ = Settings().database_url


def test_every_setting_is_described() -> None:
    schema = Settings.model_json_schema()
    sections = [schema, *schema["$defs"].values()]
    bare = [
        f"{section['title']}.{name}"
        for section in sections
        for name, field in section.get("properties", {}).items()
        if "description" not in field and "$ref" not in str(field)
    ]
    assert bare == []
