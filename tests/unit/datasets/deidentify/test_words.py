"""What may stay of a text: known words and numbers, never a part of what the object says of people."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.datasets.deidentify.words import (
    Identifiers,
    clean_device_text,
    clean_text,
    fold,
    is_known_code,
    known_words,
)

NOBODY = Identifiers([])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("CT Head 5 mm", "CT Head 5 mm"),
        ("t2_tse_tra_384", "t2 tse tra 384"),
        ("DOE JOHN head native", "head native"),
        ("ep2d_diff b1000 TRACEW", "diff b1000 TRACEW"),
        ("Dr. Müller Schädel nativ", "Schädel nativ"),
        ("chest 12/03/1958", "chest"),
        ("chest +49 (221) 555-0199 lung", "chest lung"),
        ("PT-884213 axial", "axial"),
        ("mail j.doe@example.org now", ""),
        ("born 1958", ""),
        ("1.25mm 0,625 mm", "1.25mm 0,625 mm"),
    ],
)
def test_words_that_name_nobody_stay(text: str, left: str) -> None:
    assert clean_text(text, NOBODY) == left


def test_a_patient_called_like_a_word_is_taken_out_of_it() -> None:
    assert clean_text("CT Brain Brain^Long native", Identifiers(["Brain^Long"])) == "CT native"


def test_names_are_found_whatever_their_accents() -> None:
    identifiers = Identifiers(["Škvorecký^Zdeňka"])
    assert identifiers.within("v1.2 skvorecky")
    assert clean_device_text("Scanner SKVORECKY 3", identifiers) == ""


@given(st.text(alphabet=string.ascii_letters + "üéñ王小明-^_ 0123456789", max_size=60))
def test_nothing_stays_that_is_not_on_the_list(text: str) -> None:
    for word in clean_text(text, NOBODY).split():
        assert fold(word) in known_words() or any(map(str.isdigit, word))
        assert sum(map(str.isdigit, word)) < 13


@given(st.integers(100_000, 10**15))
def test_no_long_number_stays(number: int) -> None:
    assert clean_text(f"head {number} axial", NOBODY) == "head axial"


@pytest.mark.parametrize("text", ["SOMATOM Force", "syngo CT VB20A", "Br40d\\3", "3.40", "*tfl3d1_16ns"])
def test_what_machines_write_stays_whole(text: str) -> None:
    assert clean_device_text(text, NOBODY) == text


@pytest.mark.parametrize("text", ["v2 1958-03-12", "V1 19580312", "DOE^JOHN", "x 12345678", "me@home"])
def test_what_looks_like_a_person_in_it_does_not(text: str) -> None:
    assert clean_device_text(text, NOBODY) == ""


@pytest.mark.parametrize("code", ["AXIAL", "HEAD", "MONOCHROME2", "ISO_10918_1", "HFS", "T2_STAR", ""])
def test_known_code_strings_stay(code: str) -> None:
    assert is_known_code(code, NOBODY)


@pytest.mark.parametrize("code", ["QUILLFEATHER", "DOE_JOHN", "PT-884213", "ROOM 12345"])
def test_unknown_code_strings_do_not(code: str) -> None:
    assert not is_known_code(code, NOBODY)


def test_numbers_are_found_with_leading_zeros_and_in_single_precision() -> None:
    identifiers = Identifiers(["00084893213"])
    assert identifiers.has_number(84893213)
    assert identifiers.has_number("84893213")
    assert identifiers.has_number(84893216.0)  # as a 32-bit float holds it
    assert not identifiers.has_number(512)
