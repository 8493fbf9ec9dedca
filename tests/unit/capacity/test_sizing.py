"""What a replica takes in an hour is computed, and takes its place on the page."""

from pathlib import Path

import pytest

from load_tests.sizing import PAGE, an_hour, page

RESULT = {
    "at": "2026-01-18T03:00:00+00:00",
    "machine": {"cpu": "A processor", "cores": 2},
    "data": {"threads": 2, "analyses": {"ich": {"study": "NCCT 32 x 512 x 512", "seconds": 3.44}}},
}


@pytest.mark.parametrize(("seconds", "studies"), [(3.44, 730), (0.5, 5000), (60.0, 42), (4000.0, 0)])
def test_an_hour_holds_so_many_studies(seconds: float, studies: int) -> None:
    assert an_hour(seconds) == studies


def test_the_page_takes_the_table_and_nothing_else_changes() -> None:
    text = (Path(__file__).parents[3] / PAGE).read_text(encoding="utf-8")
    written = page(text, RESULT)
    assert "| ich | NCCT 32 x 512 x 512 | 3.4 | 730 |" in written
    assert page(written, RESULT) == written
    before, after = text.partition("<!-- sizes -->")[0], text.partition("<!-- /sizes -->")[2]
    assert before
    assert after
    assert written.startswith(before)
    assert written.endswith(after)
