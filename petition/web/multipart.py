"""Forms that carry files (RFC 7578): the ``multipart`` library parses them, strictly and within limits."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

MAX_PARTS = 4000  # of a form
MAX_UPLOAD_PARTS = 8  # up to the file
MAX_HEADER = 4096  # bytes of one header of a part; there may be eight
MAX_FIELD = 4096  # bytes of a field that comes before an uploaded file


class BadForm(ValueError):
    """The body is not a form as browsers send it."""


@dataclass(frozen=True, slots=True)
class MultipartForm:
    """Fields, each name once (the last one); files by the name of their field, without empty ones."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


def parse(content_type: str, body: bytes) -> MultipartForm:
    """Return the form in a whole body. Raises ``BadForm``."""
    boundary = _boundary(content_type)
    parser, form = _parser(boundary, MAX_PARTS), MultipartForm()
    part: Any = None
    content = bytearray()
    if not body.startswith(boundary):
        raise BadForm
    try:
        for event in parser.parse(body):
            if isinstance(event, MultipartSegment):
                part, content = _checked(event), bytearray()
            elif event is not None:
                content += event
            elif part.filename is None:
                form.fields[_decoded(part.name)] = _text(content)
            elif content:
                form.files[_decoded(part.name)] = bytes(content)
        parser.close()  # raises unless the last boundary has come
    except MultipartError as error:
        raise BadForm from error
    return form


class Upload:
    """The first file of a form, while it arrives. ``name`` is set before the first piece of ``content``.

    Raises ``BadForm`` for a content type other than that of a form with files.
    """

    def __init__(self, content_type: str) -> None:
        self._boundary = _boundary(content_type)
        self._parser = _parser(self._boundary, MAX_UPLOAD_PARTS)
        self._beginning: bytes | None = b""  # until it is as long as a boundary
        self.name = ""

    async def content(self, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the file's bytes out of those of the body; what follows it is not read.

        Raises ``BadForm`` if there is no file or the body ends before it does.
        """
        part: Any = None
        async for chunk in stream:
            for event in self._events(chunk):
                if isinstance(event, MultipartSegment):
                    part = _checked(event)
                    self.name = _decoded(part.filename or "")
                elif part.filename is None:
                    if part.bytes_received > MAX_FIELD:
                        raise BadForm
                elif event is None:
                    return
                else:
                    yield event
        raise BadForm

    def _events(self, chunk: bytes) -> Any:
        if self._beginning is not None:
            chunk = self._beginning + chunk
            if not chunk.startswith(self._boundary[: len(chunk)]):
                raise BadForm
            self._beginning = chunk if len(chunk) < len(self._boundary) else None
        if not chunk or self._beginning is not None:
            return
        try:
            yield from self._parser.parse(chunk)
        except MultipartError as error:
            raise BadForm from error


def _boundary(content_type: str) -> bytes:
    """Return what a form begins with, as browsers send it. Raises ``BadForm``.

    The library takes a preamble for a form or for none, depending on how much of it comes in the first piece.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not boundary.isascii() or not 0 < len(boundary) <= 70:
        raise BadForm
    return f"--{boundary}".encode()


def _parser(boundary: bytes, max_parts: int) -> Any:
    # Latin-1 takes any byte; _decoded makes UTF-8 of it, so that a name in another encoding is no error.
    return PushMultipartParser(
        boundary[2:], max_header_size=MAX_HEADER, max_segment_count=max_parts, header_charset="latin-1", strict=True
    )


def _checked(part: Any) -> Any:
    """Return ``part``. Raises ``BadForm`` for a file name as in RFC 2231: RFC 7578, 4.2 forbids it in forms."""
    if part.filename is None and "filename*" in part["Content-Disposition"].lower():
        raise BadForm
    return part


def _decoded(name: str) -> str:
    return name.encode("latin-1").decode(errors="replace")


def _text(content: bytearray) -> str:
    if b"\0" in content:
        raise BadForm
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BadForm from error
