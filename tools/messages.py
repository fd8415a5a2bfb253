"""Bring the catalogues up to date with the sources: ``python tools/messages.py``.

Every message of the templates and of ``petition/`` gets an entry in every ``locales/*/LC_MESSAGES/petition.po``; what
nobody uses any more goes. Nothing is guessed from similar messages: a new one is empty until somebody translates it. In
the source language the translation is the message itself. Entries are sorted and carry no line numbers or dates, so
that a change shows as what it is.
"""

import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract, extract_python
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

ROOT = Path(__file__).resolve().parent.parent
SOURCE_LANGUAGE = "en"
KEYWORDS = {**DEFAULT_KEYWORDS, "in_words_of": (2,)}
TEMPLATE_OPTIONS = {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}

MessageId = str | tuple[str, ...]  # a tuple has the singular and the plural


def messages() -> dict[MessageId, list[str]]:
    """Return every message of the sources (a pair where there is a plural) with the comments for its translator."""
    found: dict[MessageId, list[str]] = {}
    for path, text in _sources():
        method: Any = extract_python if path.suffix == ".py" else babel_extract
        options = {} if path.suffix == ".py" else TEMPLATE_OPTIONS
        for _, message, comments, _ in extract(method, io.BytesIO(text), KEYWORDS, ("Translators:",), options):
            if message:
                found.setdefault(message, []).extend(comments)
    return found


def _sources() -> Iterator[tuple[Path, bytes]]:
    for folder, patterns in (("templates", ("*.html", "*.txt", "*.md", "*.json")), ("petition", ("*.py",))):
        for pattern in patterns:
            for path in sorted((ROOT / folder).rglob(pattern)):
                yield path, path.read_bytes()


def catalogue_files() -> list[Path]:
    """Return every catalogue; the folder two levels up is its language."""
    return sorted((ROOT / "locales").glob("*/LC_MESSAGES/petition.po"))


def language_of(path: Path) -> str:
    """Return the language of a catalogue."""
    return path.parent.parent.name


def read(path: Path) -> Catalog:
    """Return the catalogue as it stands in the file."""
    with path.open("rb") as file:
        return read_po(file, locale=language_of(path), abort_invalid=True)


def updated(path: Path, wanted: dict[MessageId, list[str]]) -> str:
    """Return what the file should contain: its own header, and exactly the wanted messages."""
    old = read(path)
    new = Catalog(locale=old.locale)
    for message, comments in wanted.items():
        new.add(message, _translation(old, language_of(path), message), auto_comments=comments)
    body = io.BytesIO()
    write_po(body, new, width=110, no_location=True, omit_header=True, sort_output=True)
    return _header(path) + "\n\n" + body.getvalue().decode().strip() + "\n"


def _translation(old: Catalog, language: str, message: MessageId) -> str | tuple[str, ...]:
    if language == SOURCE_LANGUAGE:
        return message
    known = old.get(message if isinstance(message, str) else message[0])
    if known is not None and known.id == message and known.string:
        return known.string if isinstance(known.string, str) else tuple(known.string)
    return "" if isinstance(message, str) else ("",) * old.num_plurals


def _header(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n\n")[0].rstrip()


def update(paths: Iterable[Path]) -> None:
    """Rewrite the catalogues and say how many translations each still lacks."""
    wanted = messages()
    for path in paths:
        path.write_text(updated(path, wanted), encoding="utf-8")
        empty = sum(not _is_translated(each) for each in read(path))
        sys.stdout.write(f"{path.relative_to(ROOT)}: {len(wanted)} messages, {empty} without translation\n")


def _is_translated(message: Message) -> bool:
    return all(message.string) if isinstance(message.string, tuple | list) else bool(message.string)


if __name__ == "__main__":
    update(catalogue_files())
