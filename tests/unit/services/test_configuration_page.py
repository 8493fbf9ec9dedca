"""docs/configuration.md names every setting as it is today."""

from pathlib import Path

from pydantic import BaseModel

from services import settings, settings_reference

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_page_is_what_the_settings_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_reference.page(), (
        "Stale. Run: python -m services.settings_reference > docs/configuration.md"
    )


def test_every_setting_is_described() -> None:
    sections = [settings.Destination, *(f.annotation for f in settings.Settings.model_fields.values())]
    for section in sections:
        if isinstance(section, type) and issubclass(section, BaseModel):
            for name, field in section.model_fields.items():
                assert field.description, f"{section.__name__}.{name}"
