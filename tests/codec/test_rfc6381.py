"""The names of codecs in a playlist."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec.rfc6381 import aac_name, avc_name, hevc_name

HEVC = bytes.fromhex("01 01 60000000 b00000000000 5d f000".replace(" ", ""))


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ("0164001effe10000", "avc1.64001e"),
        ("0142c01f", "avc1.42c01f"),
        ("014d40", None),
        ("0064001e", None),
        ("", None),
    ],
)
def test_avc_name_is_profile_constraints_and_level(config: str, name: str | None) -> None:
    assert avc_name(bytes.fromhex(config)) == name


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (HEVC, "hvc1.1.6.L93.b0"),
        (HEVC[:13], "hvc1.1.6.L93.b0"),
        (HEVC[:1] + b"\xa2\x20\x00\x00\x00" + bytes(6) + b"\x99", "hvc1.B2.4.H153"),
        (HEVC[:6] + b"\x90\x00\x08\x00\x00\x00" + HEVC[12:], "hvc1.1.6.L93.90.0.8"),
        (HEVC[:12], None),
        (b"\x02" + HEVC[1:], None),
        (b"", None),
    ],
)
def test_hevc_name_follows_iso_14496_15_annex_e(config: bytes, name: str | None) -> None:
    assert hevc_name(config) == name


@pytest.mark.parametrize(
    ("config", "name"),
    [("1210", "mp4a.40.2"), ("2b920800", "mp4a.40.5"), ("eb098800", "mp4a.40.29"), ("0a10", "mp4a.40.1"), ("", None)],
)
def test_aac_name_is_the_object_type_of_the_outermost_profile(config: str, name: str | None) -> None:
    assert aac_name(bytes.fromhex(config)) == name


@given(st.binary(max_size=64))
def test_any_bytes_have_a_name_of_harmless_characters_or_none(config: bytes) -> None:
    for name in (avc_name(config), hevc_name(b"\x01" + config), aac_name(config)):
        assert name is None or re.fullmatch(r"[a-z0-9]{4}(\.[A-Z0-9a-f]+)+", name)
