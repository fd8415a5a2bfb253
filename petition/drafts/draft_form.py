"""What the form of the text page holds: fields, the state that each was seen in, rows of parties, choices, files."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from petition.core.errors import Refused
from petition.drafts import draft_fields
from petition.letters.parties import Party

Row = dict[str, str]  # "en", "ru", … and "url"
MINE, THEIRS = "mine", "theirs"
_CELL = re.compile(r"(addressees|initiators)\.([0-9]{1,3})\.([A-Za-z_]{2,6})")
_ACT = re.compile(r"(drop|up|down):(addressees|initiators):([0-9]{1,3})")


@dataclass
class Typed:
    """A form that was sent."""

    values: dict[str, str] = field(default_factory=dict)  # canonical, of fields without a problem
    raw: dict[str, str] = field(default_factory=dict)  # as typed
    rows: dict[str, list[Row]] = field(default_factory=dict)  # of initiators and addressees, as typed
    seen: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)  # field → message for the catalogues


def read(form: Mapping[str, str], now: Mapping[str, str], languages: tuple[str, ...]) -> Typed:
    """Return what was typed; a field is on the form if the state it was seen in is."""
    names = [name for name in now if f"seen.{name}" in form and not name.startswith("picture.")]
    typed = Typed(seen={name: form[f"seen.{name}"] for name in names})
    for name in names:
        if name in draft_fields.PARTIES:
            typed.rows[name] = _acted(list(_rows(form, name, languages)), name, form.get("act", ""))
        else:
            typed.raw[name] = form.get(name, "")
        try:
            typed.values[name] = _checked(name, typed, now, languages)
        except Refused as refused:
            typed.problems[name] = refused.message
    for name in names:
        _choose(name, form, typed)
    return typed


def _checked(name: str, typed: Typed, now: Mapping[str, str], languages: tuple[str, ...]) -> str:
    if name in draft_fields.PARTIES:
        return draft_fields.checked_parties([_party(row, languages) for row in typed.rows[name]])
    raw = typed.raw[name].replace("\r\n", "\n")
    return raw if raw == now[name] else draft_fields.checked(name, raw)  # what came in by a folder keeps its own rules


def _party(row: Row, languages: tuple[str, ...]) -> Party | None:
    return draft_fields.checked_party({lang: row.get(lang, "") for lang in languages}, row.get("url", ""))


def _rows(form: Mapping[str, str], name: str, languages: tuple[str, ...]) -> Iterator[Row]:
    """Yield the rows of a form in their order; the empty ones are places to write into."""
    by_position: dict[int, Row] = {}
    for key, value in form.items():
        match = _CELL.fullmatch(key)
        if match and match[1] == name and match[3] in {*languages, "url"}:
            by_position.setdefault(int(match[2]), {})[match[3]] = value
    yield from (by_position[position] for position in sorted(by_position))


def _acted(rows: list[Row], name: str, act: str) -> list[Row]:
    """Return the rows after the button of one of them was pressed."""
    match = _ACT.fullmatch(act)
    if match is None or match[2] != name or int(match[3]) >= len(rows):
        return rows
    position = int(match[3])
    if match[1] == "drop":
        return rows[:position] + rows[position + 1 :]
    other = position + (-1 if match[1] == "up" else 1)
    if 0 <= other < len(rows):
        rows[position], rows[other] = rows[other], rows[position]
    return rows


def _choose(name: str, form: Mapping[str, str], typed: Typed) -> None:
    """Take the side that was chosen where both had changed a field; without a choice it stays open."""
    if f"conflict.{name}" not in form:
        return
    choice = form.get(f"choice.{name}")
    if choice == THEIRS:
        typed.values.pop(name, None)
        typed.problems.pop(name, None)
    elif choice != MINE:
        typed.seen[name] = ""
