"""Plain text that people paste, rewritten so that Markdown shows it as they see it.

Markdown joins lines, takes a line below another for a heading, a backtick for code; people who paste from a mail or a
word processor mean none of that. ``as_markdown`` rewrites line by line; what is Markdown already stays.
See docs/decisions/pasted-text.md.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

MIN_WRAP = 50  # characters: text wrapped by a program is at least this wide
_MAX_WRAP = 120
_LONG_SHARE = 0.6  # of the width, for a line to count as long
_FULL_SHARE = 0.8  # of the long lines of wrapped text have no room for the next word
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
# Bullets of word processors, their private-use ones too; a dash stays a dash, as Russian lists have it.
_BULLET = re.compile(r"(\s*)[•‣◦▪▫●○■□∙⁃➢►·\uf0a7\uf0b7\uf0d8]\s+(?=\S)")
_ITEM = re.compile(r"\s*(?:[-*]|\d{1,9}[.)])\s+\S")
_BLOCK = re.compile(r" {0,3}(?:#{1,6}\s|>|(?:[-_*]\s*){3,}$)")
_QUOTED_NUMBER = re.compile(r"(\s*)>(?=\s*\d)")  # "> 100 people" is no quotation
_PLUS = re.compile(r"(\s*)\+(?=\s)")
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])`(?=[^\W\d_])")  # Ukrainian is often typed so: "п`ять"
_NOTE = re.compile(r"\s*\*\s+\S")
_FOOTNOTE = re.compile(r"( {0,3})\[\^([^\s\]]+)\]:")
_MENTION = re.compile(r"(?<!\\)\[\^([^\s\]]+)\](?!:)")
_STARRED = re.compile(r"\w\*(?![\w*])")


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    code: bool = False  # inside a fence, or the fence itself

    @property
    def empty(self) -> bool:
        return not self.text.strip()

    @property
    def is_item(self) -> bool:
        return not self.code and _ITEM.match(self.text) is not None

    @property
    def is_block(self) -> bool:
        return not self.code and _BLOCK.match(self.text) is not None


def as_markdown(text: str) -> str:
    """Return ``text`` with its line breaks, bullets, dashes and signs written so that Markdown keeps them."""
    lines = [line if line.code else _Line(_literal(line.text)) for line in _parsed(text)]
    lines = list(_without_unused_notes(list(_without_starred_note(lines))))
    width = _wrap_width(lines)
    return "\n".join(_joined(lines, width))


def _parsed(text: str) -> Iterator[_Line]:
    fence = ""
    for text_line in text.split("\n"):
        match = _FENCE.match(text_line)
        if fence:
            closes = match is not None and match[1].startswith(fence) and not text_line.strip(" `~")
            yield _Line(text_line, code=True)
            fence = "" if closes else fence
        elif match:
            fence = match[1]
            yield _Line(text_line, code=True)
        else:
            yield _Line(text_line)


def _literal(line: str) -> str:
    """Return a line whose signs mean what people mean by them."""
    line = _BULLET.sub(r"\1- ", line, count=1) if _BULLET.match(line) else line
    line = _QUOTED_NUMBER.sub(r"\1\\>", line, count=1) if _QUOTED_NUMBER.match(line) else line
    line = _PLUS.sub(r"\1\\+", line, count=1) if _PLUS.match(line) else line
    return _APOSTROPHE.sub(r"\\`", line)


def _without_starred_note(lines: list[_Line]) -> Iterator[_Line]:
    """Yield the lines; a single "* note" below a word with an asterisk is that word's note and keeps its asterisk."""
    notes = [index for index, line in enumerate(lines) if not line.code and _NOTE.match(line.text)]
    is_note = len(notes) == 1 and any(_STARRED.search(line.text) for line in lines[: notes[0]])
    for index, line in enumerate(lines):
        yield _Line(line.text.replace("*", "\\*", 1)) if is_note and index == notes[0] else line


def _without_unused_notes(lines: list[_Line]) -> Iterator[_Line]:
    """Yield the lines; a footnote that nothing mentions, or a second one of a label, stays where it is as text."""
    text = "\n".join(line.text for line in lines if not line.code)
    free = {label for label in _MENTION.findall(text)}
    for line in lines:
        note = None if line.code else _FOOTNOTE.match(line.text)
        if note is None:
            yield line
        elif note[2] in free:
            free.discard(note[2])
            yield line
        else:
            yield _Line("")
            yield _Line(f"{note[1]}\\{line.text[note.end(1) :]}")


def _wrap_width(lines: list[_Line]) -> int:
    """Return the width at which a program has wrapped the text, 0 if none has.

    Short lines (of a signature, of a poem) say nothing about it; lines without a space (addresses) cannot be wrapped.
    """
    breaks = [(line.text, after.text) for line, after in pairwise(lines) if _flows(line, after)]
    width = max((len(line) for line, _ in breaks if " " in line.strip()), default=0)
    long = [(line, after) for line, after in breaks if len(line) > _LONG_SHARE * width]
    full = sum(_is_full(line, after, width) for line, after in long)
    return width if MIN_WRAP <= width <= _MAX_WRAP and full > 1 and full >= _FULL_SHARE * len(long) else 0


def _flows(line: _Line, after: _Line) -> bool:
    """Return whether Markdown would join these two lines."""
    separate = line.code or after.code or line.empty or after.empty
    return not (
        separate or after.is_item or after.is_block or (line.is_block and not line.text.lstrip().startswith(">"))
    )


def _is_full(line: str, after: str, width: int) -> bool:
    """Return whether the next line's first word would not have fitted on this one."""
    return len(line.rstrip()) + 1 + len(after.split(maxsplit=1)[0]) > width


def _joined(lines: list[_Line], width: int) -> Iterator[str]:
    """Yield the lines with the breaks between them, soft where a program has wrapped the text."""
    in_list = False
    for line, after in zip(lines, [*lines[1:], _Line("")], strict=True):
        in_list = line.is_item or (in_list and not line.empty and (line.text[:1].isspace() or width > 0))
        wrapped = bool(width) and not after.empty and _is_full(line.text, after.text, width)
        if line.code or line.empty or after.empty or wrapped:
            yield line.text
        elif after.is_item and not in_list and not line.is_block:
            yield f"{line.text}\n"  # in Markdown only a list that begins with 1 needs no empty line above
        elif not _flows(line, after):
            yield line.text
        elif in_list and not after.text[:1].isspace():
            yield f"{line.text}\n"  # the line below a list begins at the margin: it belongs to no item
            in_list = False
        else:
            yield line.text if line.text.endswith("\\") else f"{line.text.rstrip()}  "
