"""Fuzz target: AMF0 values."""

from openkls.codec import amf0


def seeds() -> list[bytes]:
    """Well-formed values of every type to start from."""
    return [
        amf0.encode("connect", 1, {"app": "live", "tcUrl": "rtmp://h/live", "fpad": False, "audioCodecs": 3575.0}),
        amf0.encode("@setDataFrame", "onMetaData", amf0.EcmaArray(width=1280, height=720, encoder="x")),
        amf0.encode([1, [2, [3, {"a": [None, amf0.UNDEFINED]}]]], amf0.AmfDate(1.5e12, 480)),
        amf0.encode("long" * 20_000),
        b"\x0f\x00\x00\x00\x04<a/>\x10\x00\x01C\x00\x01a\x0d\x00\x00\x09",
        b"\x03\x00\x01a" * 64 + b"\x05" + b"\x00\x00\x09" * 64,
        b"\x08\xff\xff\xff\xff\x00\x01a\x05\x00\x00\x09",
    ]


def fuzz_one(data: bytes) -> None:
    """Any bytes give values that encode and decode into the same again, or a ProtocolError."""
    values = amf0.decode_all(data)
    encoded = amf0.encode(*values)
    assert amf0.encode(*amf0.decode_all(encoded)) == encoded
    offset = 0
    for _ in values:
        _, behind = amf0.decode(data, offset)
        assert offset < behind <= len(data)
        offset = behind
    assert offset == len(data)
