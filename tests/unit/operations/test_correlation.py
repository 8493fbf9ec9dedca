"""Log lines: the study they are about, and never a stranger's words."""

import json
import logging
from uuid import UUID

import pytest

from services.errors import Reject
from services.operations.correlation import log_to_stderr, of_study

STUDY = UUID("0123456789abcdef0123456789abcdef")
CANARY = "KANARIENVOGEL^ANNA"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> object:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _fail() -> None:
    try:
        int(CANARY)
    except ValueError as error:
        raise Reject("The study date cannot be read.") from error


@pytest.mark.parametrize("style", ["text", "json"])
def test_an_exception_says_where_and_what_kind_but_quotes_only_us(
    style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log_to_stderr(style)
    with of_study(STUDY, "route"):
        try:
            _fail()
        except Reject:
            logging.getLogger("nightjar").exception("It failed.")
    logging.getLogger("nightjar").info("Next.")
    said = capsys.readouterr().err
    assert CANARY not in said
    assert "Reject: The study date cannot be read." in said
    assert "ValueError" in said
    assert "in _fail" in said
    first, last = said.splitlines()[0], said.splitlines()[-1]
    assert STUDY.hex in first
    assert STUDY.hex not in last
    if style == "json":
        assert json.loads(first) | {"at": "", "exception": ""} == {
            "at": "", "level": "error", "logger": "nightjar", "message": "It failed.", "study": STUDY.hex,
            "exception": "",
        }  # fmt: skip
