"""Completion by evidence: any missing inner slice is found, no whole stack is ever held back."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dicom_router.completeness import Arrived, Association, Complete, Incomplete, Timing, Waiting, assess

START = datetime(2026, 1, 1, tzinfo=UTC)
TIMING = Timing(idle_s=3, fallback_s=60)
CLOSED = [Association("a", START)]
OPEN = [Association("a", None)]


def _stack(positions_mm: Sequence[float], *, tilt_degrees: float = 0.0, numbers: bool = True) -> list[dict[str, Any]]:
    tilt = math.radians(tilt_degrees)
    return [
        {
            "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, math.cos(tilt), -math.sin(tilt)],
            "ImagePositionPatient": [-120.0, -110.5, round(position, 4)],
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        }
        | ({"InstanceNumber": index + 1} if numbers else {})
        for index, position in enumerate(positions_mm)
    ]


def _arrived(attributes: Sequence[dict[str, Any]], pause_s: float = 0.05) -> list[Arrived]:
    return [
        Arrived("1.2.840.10008.5.1.4.1.1.2", "a", START + timedelta(seconds=index * pause_s), one)
        for index, one in enumerate(attributes)
    ]


def _end(instances: Sequence[Arrived]) -> datetime:
    return max(instance.received_at for instance in instances)


def _judge(attributes: Sequence[dict[str, Any]], after_s: float = 0, senders: Sequence[Association] = CLOSED) -> Any:
    instances = _arrived(attributes)
    return assess(instances, senders, _end(instances) + timedelta(seconds=after_s), TIMING)


@st.composite
def _positions(draw: st.DrawFn) -> list[float]:
    """A stack of one spacing, or of two as head CTs have (thin at the base, thick above), with a seam of its own."""
    start = draw(st.floats(-500, 500))
    first = draw(st.floats(0.5, 6))
    positions = [start + first * index for index in range(draw(st.integers(5, 40)))]
    if draw(st.booleans()):
        second = first * draw(st.floats(1.15, 1.75))
        seam = draw(st.floats(0.25, 1.0)) * first
        above = positions[-1] + seam
        positions += [above + second * index for index in range(draw(st.integers(4, 30)))]
    return positions


_TILT = st.floats(-30, 30)


@given(_positions(), _TILT, st.randoms())
def test_a_whole_stack_is_complete_in_any_order_of_arrival(positions: list[float], tilt: float, random: Any) -> None:
    stack = _stack(positions, tilt_degrees=tilt)
    random.shuffle(stack)
    assert isinstance(_judge(stack), Complete)
    assert isinstance(_judge(stack, after_s=61), Complete)


@given(_positions(), _TILT, st.data())
def test_any_missing_inner_slice_is_found(positions: list[float], tilt: float, data: st.DataObject) -> None:
    stack = _stack(positions, tilt_degrees=tilt)
    del stack[data.draw(st.integers(1, len(stack) - 2))]
    data.draw(st.randoms()).shuffle(stack)
    assert isinstance(_judge(stack), Waiting)
    verdict = _judge(stack, after_s=60)
    assert isinstance(verdict, Incomplete)
    assert "1 slice missing" in verdict.missing


@given(st.floats(0.5, 10), st.integers(6, 60), _TILT, st.data())
def test_missing_slices_of_a_regular_stack_are_found_without_instance_numbers(
    spacing: float, count: int, tilt: float, data: st.DataObject
) -> None:
    stack = _stack([spacing * index for index in range(count)], tilt_degrees=tilt, numbers=False)
    first = data.draw(st.integers(2, count - 3))
    del stack[first : data.draw(st.integers(first + 1, count - 2))]
    verdict = _judge(stack, after_s=60)
    assert isinstance(verdict, Incomplete)


def test_a_missing_slice_is_named_by_its_position() -> None:
    stack = _stack([5.0 * index for index in range(20)])
    del stack[7]
    verdict = _judge(stack, after_s=60)
    assert isinstance(verdict, Incomplete)
    assert "1 slice missing at 35.0 mm" in verdict.missing


@given(_positions(), st.data())
def test_positions_jitter_as_scanners_round_them(positions: list[float], data: st.DataObject) -> None:
    shaken = [position + data.draw(st.floats(-0.01, 0.01)) for position in positions]
    assert isinstance(_judge(_stack(shaken)), Complete)


def test_two_spacings_of_a_head_ct_are_no_gap() -> None:
    z = [5.836 + 4.22 * index for index in range(14)] + [61.836 + 7.38 * index for index in range(14)]
    verdict = _judge(_stack(z, tilt_degrees=18.5))
    assert isinstance(verdict, Complete)
    assert "28 slice positions without a gap; all senders are done" in verdict.evidence


def test_a_double_spacing_run_is_no_gap_but_a_double_interval_is() -> None:
    base, top = [5.0 * index for index in range(8)], [45.0 + 10 * index for index in range(8)]
    assert isinstance(_judge(_stack([*base, *top], numbers=False)), Complete)
    assert isinstance(_judge(_stack([*base, 50.0, 55.0, 60.0], numbers=False), after_s=60), Incomplete)


def test_several_instances_at_one_position() -> None:
    echoes = [
        one | {"EchoTime": echo} for echo in (20.0, 80.0) for one in _stack([4.0 * i for i in range(20)], numbers=False)
    ]
    verdict = _judge(echoes)
    assert isinstance(verdict, Complete)
    assert "20 slice positions without a gap, 2 at each" in verdict.evidence
    del echoes[25]
    verdict = _judge(echoes, after_s=60)
    assert isinstance(verdict, Incomplete)
    assert "1 slice missing at 20.0 mm" in verdict.missing


def test_a_repeated_slice_is_named_and_does_not_hold_back() -> None:
    stack = _stack([5.0 * index for index in range(20)])
    verdict = _judge([*stack, stack[4]])
    assert isinstance(verdict, Complete)
    assert "1 position with duplicates" in verdict.evidence


def test_an_active_sender_is_waited_for_and_a_silent_one_is_not() -> None:
    stack = _stack([5.0 * index for index in range(20)])
    assert _judge(stack, after_s=2, senders=OPEN) == Waiting("The sender is still active.", None)
    verdict = _judge(stack, after_s=3, senders=OPEN)
    assert isinstance(verdict, Complete)
    assert "fell silent on it for 3 s" in verdict.evidence


def test_the_silence_of_a_sender_that_pauses_proves_nothing() -> None:
    instances = _arrived(_stack([5.0 * index for index in range(20)]), pause_s=2)
    verdict = assess(instances, OPEN, _end(instances) + timedelta(seconds=4), TIMING)
    assert verdict == Waiting(
        "The sender pauses between instances, so its silence proves nothing.", _end(instances) + timedelta(seconds=60)
    )


def test_without_geometry_only_a_release_or_the_timer_counts() -> None:
    report: list[dict[str, Any]] = [{}]
    assert isinstance(_judge(report), Complete)
    assert isinstance(_judge(report, after_s=5, senders=OPEN), Waiting)
    assert isinstance(_judge(report, after_s=60, senders=OPEN), Complete)


def test_a_localiser_needs_no_regular_positions() -> None:
    stack = [one | {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]} for one in _stack([0, 5, 20, 21])]
    assert isinstance(_judge(stack), Complete)


def test_a_multi_frame_instance_is_whole_by_itself() -> None:
    verdict = _judge([{"NumberOfFrames": 40}], after_s=3, senders=OPEN)
    assert isinstance(verdict, Complete)
    assert "1 multi-frame instance, each whole by itself" in verdict.evidence


def test_the_frames_of_a_multi_frame_instance_are_images_of_its_acquisition() -> None:
    assert isinstance(_judge([{"NumberOfFrames": 40, "ImagesInAcquisition": 40}]), Complete)
    assert isinstance(_judge([{"NumberOfFrames": 40, "ImagesInAcquisition": 80}]), Waiting)
    assert isinstance(_judge([{"NumberOfFrames": 40, "NumberOfSeriesRelatedInstances": 2}]), Waiting)


def test_counts_in_headers_are_evidence_but_not_dogma() -> None:
    stack = _stack([5.0 * index for index in range(20)])
    more = [one | {"ImagesInAcquisition": 32} for one in stack]
    assert isinstance(_judge(more), Waiting)
    assert _judge(more, after_s=60) == Incomplete(
        "20 of the 32 instances the headers announce arrived. Nothing more came within 60 s."
    )
    exact = _judge([one | {"ImagesInAcquisition": 20} for one in stack])
    assert isinstance(exact, Complete)
    assert "all 20 the headers announce" in exact.evidence
    assert isinstance(_judge([one | {"ImagesInAcquisition": 4} for one in stack]), Complete)


def test_a_missing_time_step_is_found() -> None:
    series = [
        one | {"TemporalPositionIdentifier": step, "NumberOfTemporalPositions": 4}
        for step in (1, 2, 4)
        for one in _stack([5.0 * index for index in range(6)], numbers=False)
    ]
    assert isinstance(_judge(series, after_s=60), Incomplete)


def test_nothing_usable_is_incomplete() -> None:
    assert isinstance(assess([], CLOSED, START, TIMING), Incomplete)


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "ImagePositionPatient": st.lists(st.floats(-1e3, 1e3), max_size=4),
                "ImageOrientationPatient": st.lists(st.floats(-1, 1), max_size=7),
                "InstanceNumber": st.integers() | st.floats(allow_nan=False),
                "NumberOfFrames": st.integers(0, 99),
                "ImagesInAcquisition": st.integers(-5, 50),
                "ImageType": st.text() | st.lists(st.text()),
            },
        ),
        max_size=12,
    ),
    st.floats(0, 100),
    st.booleans(),
)
def test_any_header_gets_a_verdict_and_no_series_waits_beyond_the_timer(
    attributes: list[dict[str, Any]], after_s: float, still_open: bool
) -> None:
    instances = _arrived(attributes)
    now = (_end(instances) if instances else START) + timedelta(seconds=after_s)
    verdict = assess(instances, OPEN if still_open else CLOSED, now, TIMING)
    assert isinstance(verdict, Complete | Incomplete | Waiting)
    if after_s >= TIMING.fallback_s:
        assert not isinstance(verdict, Waiting)
