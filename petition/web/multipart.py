"""A form that carries files, as browsers send it (RFC 7578), out of a body that is whole and bounded already."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser

MAX_PARTS = 4000
MAX_HEADERS = 2000  # bytes of one part


class BadForm(ValueError):
    """This is not a form that a browser sends."""


@dataclass(frozen=True, slots=True)
class MultipartForm:
    """Fields, each name once (the last one); files by their field's name, those that nobody chose left out."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


def parse(content_type: str, body: bytes) -> MultipartForm:
    """Return the form in ``body``. Raises ``BadForm``."""
    boundary = _boundary(_typed(content_type))
    if not boundary or len(boundary) > 70:
        raise BadForm("no boundary")
    form = MultipartForm()
    for headers, content in _parts(body, b"--" + boundary.encode("latin-1", "replace")):
        told = _typed(headers.decode("utf-8", "replace"), "content-disposition")
        name, file_name = _names(told)
        if not isinstance(name, str):
            raise BadForm("a part without a name")
        if file_name is None:
            form.fields[name] = _text(content)
        elif content:
            form.files[name] = content
    return form


def _parts(body: bytes, delimiter: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (headers, content) of each part."""
    first, *parts = (b"\r\n" + body).split(b"\r\n" + delimiter)
    if first.strip() or not parts or not parts[-1].startswith(b"--") or len(parts) > MAX_PARTS:
        raise BadForm("not whole")
    for part in parts[:-1]:
        headers, found, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not found or len(headers) > MAX_HEADERS:
            raise BadForm("a part without headers")
        yield headers, content


def _typed(headers: str, name: str = "content-type") -> Message:
    return HeaderParser().parsestr(headers if name == "content-disposition" else f"{name}: {headers}")


# What the standard library raises over parameters in RFC 2231's form (``name*=``), which browsers do not use: an
# encoding that is none for text, one that cannot replace, a null byte in its name, a part of two kinds.
_UNREADABLE = (ValueError, LookupError, TypeError, AssertionError)


def _boundary(told: Message) -> str | None:
    try:
        return told.get_boundary()
    except _UNREADABLE:
        raise BadForm("an unreadable boundary") from None


def _names(told: Message) -> tuple[object, str | None]:
    """Return the names of a part's field and of its file."""
    try:
        return told.get_param("name", header="content-disposition"), told.get_filename()
    except _UNREADABLE:
        raise BadForm("an unreadable name") from None


def _text(content: bytes) -> str:
    if b"\0" in content:
        raise BadForm("a null byte")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise BadForm("not UTF-8") from None
