"""One continuous clock: what runs as it should is untouched, and what jumps is joined, sound and picture together."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.domain.timeline import JOINT_MS, JUMP_LIMIT_MS, REORDER_LIMIT_MS, WRAP, Timeline

AUDIO, VIDEO, OTHER = 8, 9, 18
HOURS_10 = 36_000_000


def step(from_ms: int, to_ms: int) -> int:
    return (to_ms - from_ms + WRAP // 2) % WRAP - WRAP // 2


def placed(timeline: Timeline, *frames: tuple[int, int]) -> list[int]:
    return [timeline.place(track, timestamp_ms) for track, timestamp_ms in frames]


@pytest.mark.parametrize("start_ms", [0, 1, HOURS_10, 2**31 - 50, 2**31, WRAP - 50, WRAP - 1])
def test_stream_that_runs_as_it_should_is_untouched_wherever_it_begins(start_ms: int) -> None:
    timeline = Timeline()
    frames = [(track, (start_ms + at) % WRAP) for at in range(0, 1000, 40) for track in (VIDEO, AUDIO)]
    assert placed(timeline, *frames) == [timestamp_ms for _, timestamp_ms in frames]
    assert timeline.repaired == 0


@given(
    start_ms=st.integers(0, WRAP - 1),
    steps=st.lists(st.tuples(st.sampled_from([AUDIO, VIDEO]), st.integers(0, JUMP_LIMIT_MS)), max_size=60),
    skew_ms=st.integers(-JUMP_LIMIT_MS // 2, JUMP_LIMIT_MS // 2),
    jitter_ms=st.lists(st.integers(-REORDER_LIMIT_MS // 2, REORDER_LIMIT_MS // 2), min_size=60, max_size=60),
)
def test_steps_skew_and_jitter_within_the_limits_are_untouched(
    start_ms: int, steps: list[tuple[int, int]], skew_ms: int, jitter_ms: list[int]
) -> None:
    timeline = Timeline()
    at_ms = start_ms
    lasts: dict[int, int] = {}
    for (track, step_ms), shake_ms in zip(steps, jitter_ms, strict=False):
        at_ms += step_ms // 2
        timestamp_ms = (at_ms + shake_ms + (skew_ms // 2 if track == AUDIO else 0)) % WRAP
        if track in lasts and step(lasts[track], timestamp_ms) > JUMP_LIMIT_MS:
            return  # one track was silent for too long for this property
        lasts[track] = timestamp_ms
        assert timeline.place(track, timestamp_ms) == timestamp_ms
    assert timeline.repaired == 0


@pytest.mark.parametrize("to_ms", [0, 500_000, HOURS_10, WRAP - 1])
def test_jump_of_both_tracks_is_joined_and_keeps_sound_and_picture_together(to_ms: int) -> None:
    timeline = Timeline()
    assert placed(timeline, (VIDEO, 100_000), (AUDIO, 100_010)) == [100_000, 100_010]
    after = [(VIDEO, to_ms), (AUDIO, to_ms + 7), (VIDEO, to_ms + 40), (AUDIO, to_ms + 30)]
    end = 100_010 + JOINT_MS
    assert placed(timeline, *[(track, ms % WRAP) for track, ms in after]) == [end, end + 7, end + 40, end + 30]
    assert timeline.repaired == 2


def test_messages_of_the_old_clock_that_come_late_stay_where_they_are() -> None:
    timeline = Timeline()
    placed(timeline, (VIDEO, 100_000), (AUDIO, 100_000))
    assert placed(timeline, (VIDEO, 0), (AUDIO, 100_020), (VIDEO, 40), (AUDIO, 45)) == [
        100_040,
        100_020,
        100_080,
        100_085,
    ]


@pytest.mark.parametrize(
    ("to_ms", "repaired"),
    [
        (100_000 - REORDER_LIMIT_MS, False),
        (100_000 - REORDER_LIMIT_MS - 1, True),
        (100_000 + JUMP_LIMIT_MS, False),
        (100_000 + JUMP_LIMIT_MS + 1, True),
    ],
)
def test_step_of_exactly_the_limit_is_no_jump_and_one_more_is(to_ms: int, repaired: bool) -> None:
    timeline = Timeline()
    timeline.place(VIDEO, 100_000)
    assert timeline.place(VIDEO, to_ms) == (100_000 + JOINT_MS if repaired else to_ms)
    assert timeline.repaired == repaired


def test_track_that_paused_comes_back_where_the_other_has_got_to() -> None:
    timeline = Timeline()
    placed(timeline, (VIDEO, 0), (AUDIO, 0), *[(AUDIO, at) for at in range(0, 60_000, 1000)])
    assert timeline.place(VIDEO, 59_500) == 59_500
    assert timeline.repaired == 0


@pytest.mark.parametrize(("apart_ms", "untouched"), [(JUMP_LIMIT_MS, True), (JUMP_LIMIT_MS + 1, False)])
@pytest.mark.parametrize("sign", [1, -1])
def test_track_that_begins_far_from_the_other_is_brought_to_it(apart_ms: int, untouched: bool, sign: int) -> None:
    timeline = Timeline()
    begin_ms = 100_000 + sign * apart_ms
    assert timeline.place(VIDEO, 100_000) == 100_000
    assert timeline.place(AUDIO, begin_ms) == (begin_ms if untouched else 100_000 + JOINT_MS)
    assert timeline.repaired == (not untouched)
    assert timeline.place(AUDIO, begin_ms + 20) == (begin_ms + 20 if untouched else 100_020 + JOINT_MS)
    assert timeline.place(VIDEO, 100_040) == 100_040


def test_other_tracks_offset_is_not_taken_where_it_would_set_this_track_back() -> None:
    timeline = Timeline()
    placed(timeline, (VIDEO, 100_000), (AUDIO, 109_000))
    assert timeline.place(VIDEO, 0) == 109_000 + JOINT_MS
    # By the video's offset the audio would step back by 8 s.
    end = 109_000 + JOINT_MS
    assert timeline.place(AUDIO, WRAP - 8_000) == end + JOINT_MS


def test_headers_and_data_follow_their_track_or_stand_where_the_stream_is() -> None:
    timeline = Timeline()
    assert [timeline.follow(track, 7) for track in (VIDEO, AUDIO, OTHER)] == [7, 7, 7]
    assert timeline.place(VIDEO, HOURS_10) == HOURS_10
    assert timeline.follow(AUDIO, 0) == HOURS_10
    assert timeline.follow(OTHER, HOURS_10 + 5) == HOURS_10 + 5
    assert timeline.follow(VIDEO, HOURS_10 - JUMP_LIMIT_MS) == HOURS_10 - JUMP_LIMIT_MS
    assert timeline.follow(VIDEO, HOURS_10 - JUMP_LIMIT_MS - 1) == HOURS_10
    timeline.place(VIDEO, 0)
    assert timeline.follow(VIDEO, 40) == HOURS_10 + JOINT_MS + 40
    assert timeline.follow(AUDIO, 40) == HOURS_10 + JOINT_MS + 40
    assert timeline.place(VIDEO, 40) == HOURS_10 + JOINT_MS + 40
    assert timeline.follow(OTHER, WRAP + 9) == HOURS_10 + JOINT_MS + 9


def test_next_run_goes_on_behind_the_last_one_with_its_tracks_together() -> None:
    timeline = Timeline()
    placed(timeline, (VIDEO, 5000), (AUDIO, 5010))
    timeline.resume()
    assert [timeline.follow(VIDEO, 0), timeline.follow(AUDIO, 5020)] == [5010, 5010]
    assert placed(timeline, (AUDIO, 90_000), (VIDEO, 90_020), (AUDIO, 90_023)) == [5050, 5070, 5073]
    assert timeline.repaired == 0


def test_resumption_before_anything_was_sent_changes_nothing() -> None:
    timeline = Timeline()
    timeline.resume()
    assert placed(timeline, (VIDEO, 777), (AUDIO, 778)) == [777, 778]


@given(
    frames=st.lists(
        st.tuples(
            st.sampled_from([AUDIO, VIDEO]),
            st.one_of(st.integers(0, WRAP - 1), st.integers(0, 2000), st.integers(WRAP - 2000, WRAP - 1)),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_whatever_the_clocks_do_each_track_is_continuous_and_near_the_stream(
    frames: list[tuple[int, int, bool]],
) -> None:
    timeline = Timeline()
    given_out: list[tuple[int, int]] = []
    for track, timestamp_ms, again in frames:
        if again:
            timeline.resume()
        given_out.append((track, timeline.place(track, timestamp_ms)))
        assert 0 <= given_out[-1][1] < WRAP
        assert 0 <= timeline.follow(OTHER, timestamp_ms) < WRAP
    latest = given_out[0][1] if given_out else 0
    lasts: dict[int, int] = {}
    for index, (track, ms) in enumerate(given_out):
        if frames[index][2]:
            lasts.clear()
        if track in lasts:
            own_ms = step(lasts[track], ms)
            assert own_ms >= -REORDER_LIMIT_MS
            assert own_ms <= JUMP_LIMIT_MS or abs(step(latest, ms)) <= JUMP_LIMIT_MS
        else:
            assert abs(step(latest, ms)) <= JUMP_LIMIT_MS
        lasts[track] = ms
        latest = ms if step(latest, ms) > 0 else latest


@given(runs=st.lists(st.tuples(st.integers(0, WRAP - 1), st.integers(1, 40)), min_size=1, max_size=6))
def test_runs_one_after_the_other_never_go_back(runs: list[tuple[int, int]]) -> None:
    timeline = Timeline()
    given_out = []
    for start_ms, count in runs:
        timeline.resume()
        given_out += [timeline.place(VIDEO, (start_ms + 40 * number) % WRAP) for number in range(count)]
    assert all(step(before, after) == 40 for before, after in pairwise(given_out))
