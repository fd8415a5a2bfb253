"""Which coding a client gets, and that what it unpacks is what we sent."""

import gzip

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from petition.web.content_codings import Coding, best_coding, compress, compress_hard

UNPACK = {
    Coding.BROTLI: brotli.decompress,
    Coding.ZSTANDARD: lambda body: zstandard.ZstdDecompressor().decompress(body),
    Coding.GZIP: gzip.decompress,
    Coding.IDENTITY: bytes,
}


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        (None, Coding.IDENTITY),
        (b"", Coding.IDENTITY),
        (b"*", Coding.IDENTITY),
        (b"gzip", Coding.GZIP),
        (b"gzip, deflate", Coding.GZIP),
        (b"gzip, deflate, br, zstd", Coding.BROTLI),
        (b"gzip, zstd", Coding.ZSTANDARD),
        (b"GZIP , Br", Coding.BROTLI),
        (b"br;q=0, gzip;q=0.5", Coding.GZIP),
        (b"br;q=0.000,zstd ; q=0.0 ,gzip", Coding.GZIP),
        (b"br;q=1.0", Coding.BROTLI),
        (b"gzip;q=0", Coding.IDENTITY),
        (b"x-gzip, brotli, zstd2", Coding.IDENTITY),
        (b"gzip;q=x", Coding.IDENTITY),
        (b"\xff\xfe, gzip", Coding.GZIP),
    ],
)
def test_which(accept_encoding: bytes | None, coding: Coding) -> None:
    assert best_coding(accept_encoding) is coding


@given(st.binary(max_size=60))
def test_any_header_has_an_answer(accept_encoding: bytes) -> None:
    assert best_coding(accept_encoding) in Coding


@given(st.binary(max_size=2000))
def test_it_unpacks_to_what_it_was(body: bytes) -> None:
    for coding, unpack in UNPACK.items():
        assert unpack(compress(body, coding)) == body
    assert brotli.decompress(compress_hard(body)) == body
