"""Content encodings, undone within a limit: the same as the libraries make of them, or one clear refusal."""

import contextlib
import gzip
import zlib

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.polling.bodies import DECODERS, MEMBERS, PIECE, BodyRefused, TooLarge, decoded


def bare(body):
    encoder = zlib.compressobj(wbits=-15)
    return encoder.compress(body) + encoder.flush()


ENCODINGS = [
    ("gzip", gzip.compress),
    ("GZip ", gzip.compress),
    ("x-gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:])),
    ("deflate", zlib.compress),
    ("deflate", bare),
    ("br", brotli.compress),
    ("", bytes),
    ("identity", bytes),
    ("identity, gzip", gzip.compress),
]
BODIES = st.one_of(
    st.binary(max_size=300),
    st.tuples(st.binary(max_size=30), st.integers(1, 9_000)).map(lambda part: part[0] * part[1]),
)
encoded = pytest.mark.parametrize(("name", "encode"), ENCODINGS)


@encoded
@given(body=BODIES)
def test_a_body_is_read_up_to_the_limit_and_refused_beyond(name, encode, body):
    raw = encode(body)

    assert decoded(raw, name, len(body)) == body
    if body:
        with pytest.raises(TooLarge, match=f"body is larger than {len(body) - 1} bytes"):
            decoded(raw, name, len(body) - 1)


@encoded
@given(body=BODIES, data=st.data())
def test_half_a_body_is_no_body(name, encode, body, data):
    raw = encode(body)
    if name in {"", "identity"} or len(raw) < 2 or name == "x-gzip":
        return
    cut = data.draw(st.integers(1, len(raw) - 1))

    with pytest.raises(BodyRefused):
        decoded(raw[:cut], name, len(body))


@pytest.mark.parametrize("name", DECODERS)
@given(raw=st.binary(max_size=200))
def test_any_bytes_are_a_body_or_refused(name, raw):
    with contextlib.suppress(BodyRefused):
        assert len(decoded(raw, name, 1_000)) <= 1_000


@pytest.mark.parametrize("encode", [zlib.compress, bare, brotli.compress])
def test_bytes_behind_the_end_are_refused(encode):
    name = "br" if encode is brotli.compress else "deflate"
    with pytest.raises(BodyRefused):
        decoded(encode(b"{}") + b"{}", name, 100)


def test_an_empty_body_has_any_encoding():
    assert decoded(b"", "gzip", 0) == decoded(b"", "br", 0) == b""


def test_streams_without_end_are_refused():
    one = gzip.compress(b"")

    assert decoded(one * MEMBERS, "gzip", 0) == b""
    with pytest.raises(BodyRefused, match="goes on behind its end"):
        decoded(one * (MEMBERS + 1), "gzip", 0)


@pytest.mark.parametrize(("name", "encode"), [("gzip", gzip.compress), ("deflate", bare), ("br", brotli.compress)])
def test_a_decoder_gives_no_more_than_a_few_pieces_at_a_time(name, encode):
    largest = max(map(len, DECODERS[name](encode(b"0" * 50_000_000))))

    assert largest <= 2 * PIECE
