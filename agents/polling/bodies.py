"""Undoes the content encoding of a body (RFC 9110 section 8.4) within a limit on the decoded size. Pure.

A kilobyte can hold gigabytes: deflate reaches a thousand to one, brotli a million to one, a chain of encodings the
product. So every decoder gives its output in pieces and is asked for the next only below the limit. A chain is refused,
since no provider has a use for it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType

import brotli

PIECE = 65_536
"""Bytes that a decoder takes and gives at a time."""
MEMBERS = 1_000
"""Streams that a gzip body may consist of: an empty one costs 20 bytes, and as long as a full one to set up."""
GZIP, ZLIB, DEFLATE = 31, 15, -15  # window of 32 KiB; with gzip's header, zlib's, or none
Decode = Callable[[bytes], Iterator[bytes]]


class BodyRefused(Exception):
    """A body that is too large, encoded in an unknown way or more than once, or not what its encoding says."""


def decoded(raw: bytes, encodings: str, limit: int) -> bytes:
    """Return a body without its `Content-Encoding`, at most `limit` bytes. Raises `BodyRefused`."""
    names = [name for part in encodings.split(",") if (name := part.strip().lower()) not in {"", "identity"}]
    if len(names) > 1:
        raise BodyRefused(f"body is encoded {len(names)} times, which is one too many")
    if not names or not raw:
        return _within(limit, [raw])
    if names[0] not in DECODERS:
        raise BodyRefused(f"body has an encoding that was not asked for: {names[0]!r:.40}")
    try:
        return _within(limit, DECODERS[names[0]](raw))
    except (zlib.error, brotli.error) as error:
        raise BodyRefused(f"body is no {names[0]}: {error}") from None


def _within(limit: int, pieces: Iterator[bytes] | list[bytes]) -> bytes:
    kept: list[bytes] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise TooLarge(limit)
        kept.append(piece)
    return b"".join(kept)


class TooLarge(BodyRefused):
    """A body of more bytes than the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"body is larger than {limit} bytes")


def _chunks(raw: bytes) -> Iterator[bytes]:
    return (raw[at : at + PIECE] for at in range(0, len(raw), PIECE))


def _inflated(raw: bytes, wbits: int) -> Iterator[bytes]:
    decoder = zlib.decompressobj(wbits)
    members = 1
    for chunk in _chunks(raw):
        left = chunk
        while left:
            if decoder.eof:
                members += 1
                if wbits != GZIP or members > MEMBERS:
                    raise BodyRefused("body goes on behind its end")
                decoder = zlib.decompressobj(wbits)
            yield decoder.decompress(left, PIECE)
            left = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    if not decoder.eof:
        yield decoder.flush()  # a few hundred bytes, since all of the input is taken
    if not decoder.eof:
        raise BodyRefused("body ends before its encoding does")


def _deflated(raw: bytes) -> Iterator[bytes]:
    """`deflate` means zlib's format, but some servers leave its header out."""
    header = int.from_bytes(raw[:2], "big")
    return _inflated(raw, ZLIB if header >> 8 & 0x0F == zlib.DEFLATED and header % 31 == 0 else DEFLATE)


def _unbrotlied(raw: bytes) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    for chunk in _chunks(raw):
        piece = decoder.process(chunk, output_buffer_limit=PIECE)
        while piece:  # it may hold output back even when it would take more input
            yield piece
            piece = b"" if decoder.is_finished() else decoder.process(b"", output_buffer_limit=PIECE)
    if not decoder.is_finished():
        raise BodyRefused("body ends before its encoding does")


DECODERS: Mapping[str, Decode] = MappingProxyType(
    {
        "gzip": partial(_inflated, wbits=GZIP),
        "x-gzip": partial(_inflated, wbits=GZIP),
        "deflate": _deflated,
        "br": _unbrotlied,
    }
)
