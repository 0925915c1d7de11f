"""What processes say to each other: every word comes back as it went, and nothing else is a word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec import flv
from openkls.domain.keys import StreamName
from openkls.media.relay_words import CONTROL, Said, Word, build_control, build_path, parse_control, parse_path


@pytest.mark.parametrize("word", Word)
def test_a_word_comes_back(word: Word) -> None:
    details = ("session", "push.demo.local") if word is Word.BEGUN else ()
    (tag,) = flv.FlvReader().feed(flv.build_header(True, True) + build_control(word, *details))
    assert tag.type_id == CONTROL
    assert parse_control(tag.payload) == Said(word, details)


@pytest.mark.parametrize("payload", [b"", b"begun", b"begun one", b"begun one two three", b"CUT", b"cut\x00", b"\xff"])
def test_what_is_not_known_is_nothing(payload: bytes) -> None:
    assert parse_control(payload) is None


@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_a_word_or_nothing(payload: bytes) -> None:
    said = parse_control(payload)
    assert said is None or isinstance(said.word, Word)


@given(*[st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)] * 3)
def test_a_name_comes_back_from_its_path(unique_name: str, app: str, stream: str) -> None:
    name = StreamName(unique_name, app, stream)
    assert parse_path(build_path(name)) == name


@pytest.mark.parametrize(
    "path", ["", "/", "/live/s1.flv", "/relay/a/b", "/relay/a/b.flv", "/relay/a/b/c/d.flv", "/x/a/b/c.flv"]
)
def test_other_paths_are_nobody_s(path: str) -> None:
    assert parse_path(path) is None
