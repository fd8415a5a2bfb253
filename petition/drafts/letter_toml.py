"""``letter.toml``: everything about a letter but its text."""

import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any, TypeVar
from urllib.parse import urlsplit

from petition.core.text_cleaning import clean, has_hidden
from petition.drafts.slugs import problem_of_slug
from petition.letters.parties import Party

MAX_PARTIES = 500
MAX_NAME = 200  # characters
MAX_URL = 2000  # characters
MAX_SENTENCE = 300  # characters of a sharing text, or of a picture's description
MAX_NEXT_GOALS = 10
MAX_NAMES_DAYS = 3650
MAX_GOAL = 2**31 - 1  # PostgreSQL's integer

T = TypeVar("T")
Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LetterSettings:
    """What ``letter.toml`` says."""

    slug: str
    goal: int | None = None
    opened_at: date | None = None  # a day, or a ``datetime`` (UTC)
    closes_at: datetime | None = None
    names_in_search: bool = False
    publish_at_number: int | None = None  # confirmed signatures from which on names are shown
    publish_at_date: datetime | None = None  # or a time (UTC)
    names_until: date | None = None  # a day: the names are deleted on it
    names_days: int | None = None  # … or so many days after the first delivery
    initiators: tuple[Party, ...] = ()
    addressees: tuple[Party, ...] = ()
    next_goals: tuple[int, ...] = ()  # what the goal rises to
    sharing: Mapping[str, str] = field(default_factory=dict)  # by language: what is passed on with the address
    picture_alt: Mapping[str, str] = field(default_factory=dict)  # by language: what the picture shows
    sensitive: bool = False  # the letter itself is marked at once, published or not


def loads(text: str, languages: Collection[str]) -> tuple[LetterSettings | None, list[str]]:
    """Return (what the text says, or None; what is wrong with it, one line for each key)."""
    problems: list[str] = []
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return None, [f"is not TOML: {error}"]
    letter = LetterSettings(
        slug=_take(table, "slug", _slug, problems, required=True) or "",
        goal=_take(table, "goal", _goal, problems),
        opened_at=_take(table, "opened_at", _past, problems),
        closes_at=_take(table, "closes_at", _moment, problems),
        names_in_search=_take(table, "names_in_search", _yes_or_no, problems) or False,
        publish_at_number=_take(table, "publish_at_number", _minimum, problems),
        publish_at_date=_take(table, "publish_at_date", _moment, problems),
        names_until=_take(table, "names_until", _day, problems),
        names_days=_take(table, "names_days", _days, problems),
        initiators=_parties(table, "initiators", languages, problems),
        addressees=_parties(table, "addressees", languages, problems),
        next_goals=_take(table, "next_goals", _goals, problems) or (),
        sharing=_sentences(table, "sharing", languages, problems),
        picture_alt=_sentences(table, "picture_alt", languages, problems),
        sensitive=_take(table, "sensitive", _yes_or_no, problems) or False,
    )
    if not problems and letter.next_goals and not rises(letter.goal, letter.next_goals):
        problems.append("next_goals: must rise from goal on")
    _refuse_others(table, LetterSettings.__dataclass_fields__, problems)
    return (None if problems else letter), problems


def dumps(letter: LetterSettings) -> str:
    """Return the text of ``letter.toml``, the same for the same letter; what is not set is left out."""
    lines = [f"slug = {_quoted(letter.slug)}"]
    numbers = {key: getattr(letter, key) for key in ("goal", "publish_at_number")}
    lines += [f"{key} = {number}" for key, number in numbers.items() if number is not None]
    if letter.opened_at is not None:
        lines.append(f"opened_at = {written_opening(letter.opened_at)}{'Z' * isinstance(letter.opened_at, datetime)}")
    for key in ("closes_at", "publish_at_date"):
        if (moment := getattr(letter, key)) is not None:
            lines.append(f"{key} = {moment.astimezone(UTC).replace(tzinfo=None).isoformat()}Z")
    lines += _names_lines(letter)
    if letter.next_goals:
        lines.append(f"next_goals = [{', '.join(map(str, letter.next_goals))}]")
    for key, sentences in (("sharing", letter.sharing), ("picture_alt", letter.picture_alt)):
        lines += [f"{key}.{lang} = {_quoted(text)}" for lang, text in sorted(sentences.items())]
    for key, parties in (("initiators", letter.initiators), ("addressees", letter.addressees)):
        for party in parties:
            lines += ["", f"[[{key}]]", *_party_lines(party)]
    return "\n".join(lines) + "\n"


def _names_lines(letter: LetterSettings) -> Iterator[str]:
    yield from (f"{key} = true" for key in ("names_in_search", "sensitive") if getattr(letter, key))
    if letter.names_until is not None:
        yield f"names_until = {letter.names_until.isoformat()}"
    if letter.names_days is not None:
        yield f"names_days = {letter.names_days}"


def _party_lines(party: Party) -> Iterator[str]:
    for lang, name in sorted(party.names.items()):
        yield f"name.{lang} = {_quoted(name)}"
    if party.url is not None:
        yield f"url = {_quoted(party.url)}"


def _quoted(text: str) -> str:
    """Return a basic string of TOML (https://toml.io/en/v1.0.0#string)."""
    return '"' + re.sub(r'[\x00-\x1f"\\\x7f]', _escaped, text) + '"'


def _escaped(match: re.Match[str]) -> str:
    return f"\\{match[0]}" if match[0] in '"\\' else f"\\u{ord(match[0]):04X}"


class _Wrong(Exception):
    """A value is not what its key needs; the text says what that is."""


def _take(
    table: Table, key: str, rule: Callable[[Any], T], problems: list[str], *, where: str = "", required: bool = False
) -> T | None:
    if key not in table:
        if required:
            problems.append(f"{where}{key}: is missing")
        return None
    try:
        return rule(table[key])
    except _Wrong as error:
        problems.append(f"{where}{key}: {error}")
        return None


def _refuse_others(table: Table, known: Collection[str], problems: list[str], where: str = "") -> None:
    problems.extend(f"{where}{key}: is not a known key" for key in table if key not in known)


def _slug(value: object) -> str:
    if not isinstance(value, str):
        raise _Wrong("must be text")
    if problem := problem_of_slug(value):
        raise _Wrong(problem)
    return value


def _goal(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_GOAL:
        raise _Wrong("must be a whole number above 0")
    return value


def rises(goal: int | None, next_goals: Sequence[int]) -> bool:
    """Return whether there is a goal, and each of the next ones is higher than the one before."""
    goals = [goal or 0, *next_goals]
    return goal is not None and all(before < after for before, after in pairwise(goals))


def _goals(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > MAX_NEXT_GOALS:
        raise _Wrong(f"must be a list of at most {MAX_NEXT_GOALS} whole numbers")
    return tuple(_goal(goal) for goal in value)


def _moment(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise _Wrong("must be a date and time like 2030-12-31T23:59:59Z, without quotes")
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise _Wrong("is out of range") from None


def _day(value: object) -> date:
    if isinstance(value, datetime) or not isinstance(value, date) or value.year < 2000:
        raise _Wrong("must be a date like 2027-03-01, without quotes")
    return value


def checked_day(text: str) -> str:
    """Return a day that was typed, if it is still to come (UTC). Raises ``ValueError``."""
    if date.fromisoformat(text) <= datetime.now(UTC).date() or not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise ValueError(text)
    return text


def _days(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_NAMES_DAYS:
        raise _Wrong(f"must be a whole number from 1 to {MAX_NAMES_DAYS}")
    return value


def _past(value: object) -> date:
    if not isinstance(value, date):
        raise _Wrong("must be a date like 2022-03-05, or a date and time like 2022-03-05T09:00:00Z, without quotes")
    opened_at = _moment(value) if isinstance(value, datetime) else value
    if not is_past(opened_at):
        raise _Wrong("must be after 1900 and not in the future")
    return opened_at


def is_past(opened_at: date) -> bool:
    """Return whether a letter may have opened then: since 1900, and not in the future (UTC)."""
    now = datetime.now(UTC)
    latest = now if isinstance(opened_at, datetime) else now.date()
    return opened_at.year >= 1900 and opened_at <= latest


def written_opening(opened_at: date) -> str:
    """Return a day or a moment (UTC) in its canonical form, without the zone."""
    return (opened_at.replace(tzinfo=None) if isinstance(opened_at, datetime) else opened_at).isoformat()


def read_opening(text: str) -> date:
    """Return the day or the moment in its canonical form."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if "T" in text else date.fromisoformat(text)


def _minimum(value: object) -> int:
    number = _goal(value)
    if number < 2:
        raise _Wrong("must be 2 at least")
    return number


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("must be true or false")
    return value


def _name(value: object) -> str:
    name = clean(value) if isinstance(value, str) else ""
    if not name or has_hidden(name) or len(name) > MAX_NAME:
        raise _Wrong(f"must be text of 1–{MAX_NAME} characters, none of them hidden")
    return name


def _sentence(value: object) -> str:
    text = clean(value) if isinstance(value, str) else ""
    if not text or has_hidden(text) or len(text) > MAX_SENTENCE:
        raise _Wrong(f"must be text of 1–{MAX_SENTENCE} characters, none of them hidden")
    return text


def _sentences(table: Table, key: str, languages: Collection[str], problems: list[str]) -> dict[str, str]:
    names_table = table.get(key, {})
    if not isinstance(names_table, dict):
        problems.append(f'{key}: must be given by language, like {key}.en = "…"')
        return {}
    _refuse_others(names_table, languages, problems, f"{key}.")
    sentences = {lang: _take(names_table, lang, _sentence, problems, where=f"{key}.") for lang in languages}
    return {lang: text for lang, text in sentences.items() if text is not None}


def is_web_address(value: str) -> bool:
    """Return whether ``value`` is an absolute address of the web that may stand in a link."""
    if len(value) > MAX_URL or re.search(r"[\s\x00-\x20\x7f\ud800-\udfff]", value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _url(value: object) -> str:
    if not isinstance(value, str) or not is_web_address(value):
        raise _Wrong("must be an address like https://example.org/")
    return value


def _parties(table: Table, key: str, languages: Collection[str], problems: list[str]) -> tuple[Party, ...]:
    rows = table.get(key, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        problems.append(f"{key}: must be written as [[{key}]], once for each")
        return ()
    if len(rows) > MAX_PARTIES:
        problems.append(f"{key}: has more than {MAX_PARTIES}")
        return ()
    return tuple(_party(row, f"{key}[{number}].", languages, problems) for number, row in enumerate(rows, 1))


def _party(row: Table, where: str, languages: Collection[str], problems: list[str]) -> Party:
    _refuse_others(row, ("name", "url"), problems, where)
    url = _take(row, "url", _url, problems, where=where)
    names_table = row.get("name")
    if not isinstance(names_table, dict) or not names_table:
        problems.append(f'{where}name: must be given for at least one language, like name.en = "…"')
        return Party({}, url)
    _refuse_others(names_table, languages, problems, f"{where}name.")
    names = {lang: _take(names_table, lang, _name, problems, where=f"{where}name.") for lang in languages}
    return Party({lang: name for lang, name in names.items() if name is not None}, url)
