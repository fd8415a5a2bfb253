"""What a request may have: lines of a head and behind a body, pieces of a body. And the answer to one with more."""

from collections.abc import Sequence
from http import HTTPStatus

from petition.web.page_cache import Header

MAX_LINES = 100  # of a head, and again of a body's trailers
MAX_FREE_CHUNKS = 1000  # of a body; for more, they have to be MIN_CHUNK bytes long on average
MIN_CHUNK = 64


class HeadRefused(Exception):
    """A request that is not read further; ``status`` is the answer."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class PipelineFull(Exception):
    """Too many requests wait for the response to an earlier one."""


class Trailers(list[Header]):
    """Takes the lines behind a body and drops them: the application has seen the request's headers by then."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = 0

    def append(self, _line: Header) -> None:
        """Count the line. Raises ``HeadRefused``."""
        self._lines += 1
        if self._lines > MAX_LINES:
            raise HeadRefused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)


def check_chunks(chunks: int, received: int) -> None:
    """Raise ``HeadRefused`` if a body comes in many short pieces: each of them costs as much as a long one."""
    if chunks > MAX_FREE_CHUNKS and received < (chunks - MAX_FREE_CHUNKS) * MIN_CHUNK:
        raise HeadRefused(HTTPStatus.BAD_REQUEST)


def refusal(status: HTTPStatus, default_headers: Sequence[Header]) -> bytes:
    """Return the response to a request that is not read further."""
    text = status.phrase.encode()
    lines = [b"HTTP/1.1 %d %b" % (status, text), b"content-type: text/plain; charset=utf-8"]
    lines += [b"content-length: %d" % len(text), b"connection: close"]
    lines += [b"%b: %b" % header for header in default_headers]
    return b"\r\n".join([*lines, b"", text])
