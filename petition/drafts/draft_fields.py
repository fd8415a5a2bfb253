"""A draft as fields that several people may edit at once: which values are valid, and how two edits are merged.

Every field is a string in one canonical form, so that it can be compared, stored, digested and put into a form's field.
A form says for each field which state its sender had seen (a digest); that alone decides what is written.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import PictureId
from petition.core.text_cleaning import clean, has_hidden
from petition.drafts import letter_toml
from petition.drafts.letter_toml import MAX_GOAL, MAX_NAME, MAX_NEXT_GOALS, MAX_PARTIES, MAX_SENTENCE
from petition.letters.markdown import TEXT_SIZE, TITLE_LENGTH, has_control, trimmed
from petition.letters.model import Sharing
from petition.letters.parties import Party

PARTIES = ("addressees", "initiators")
PUBLISH_AT = ("publish_at_number", "publish_at_date")
NAMES_END = ("names_until", "names_days")
FRAME = ("goal", "next_goals", "opened_at", "closes_at", "names_in_search", *PUBLISH_AT, *NAMES_END, *PARTIES)
OF_TEXT = ("title", "text")
OF_SHARING = ("sharing", "alt", "picture")
YES = "yes"

BAD_TITLE = N_("The title must be one line of at most 200 characters.")
LONG_TEXT = N_("The text is too long: at most 200 KB for each language.")
BAD_TEXT = N_("The text contains invisible characters. Type it again, or paste it without formatting.")
BAD_SENTENCE = N_("Use one line of at most 300 characters.")
BAD_GOAL = N_("The goal must be a whole number above 0.")
BAD_MINIMUM = N_("Enter at least 2: one name alone is not shown together with others.")
BAD_GOALS = N_("Enter at most ten numbers, each higher than the one before and than the goal.")
BAD_MOMENT = N_("Enter a date and time, like 2027-03-01 18:00.")
BAD_DAY = N_("Enter a date that is still to come, like 2027-03-01.")
BAD_DAYS = N_("Enter a whole number of days from 1 to 3650.")
NOT_PAST = N_("The letter cannot be dated in the future.")
NO_NAME = N_("Each one needs a name in at least one language.")
BAD_NAME = N_("A name must be one line of at most 200 characters.")
BAD_URL = N_("A web address starts with https://.")
MANY_PARTIES = N_("There can be at most 500.")

YEARS = (1900, 2999)  # of days that a letter may name: every clock on earth can show them
_MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?")


@dataclass(frozen=True, slots=True)
class LetterFrame:
    """What surrounds the text."""

    goal: int | None = None
    next_goals: tuple[int, ...] = ()
    opened_at: date | None = None  # a day or a moment; None: by its publication here
    closes_at: datetime | None = None
    names_in_search: bool = False
    publish_at_number: int | None = None  # confirmed signatures from which on names are shown
    publish_at_date: datetime | None = None  # or a time
    names_until: date | None = None  # the names are deleted on that day (UTC)
    names_days: int | None = None  # … or so many days after the first delivery
    initiators: tuple[Party, ...] = ()
    addressees: tuple[Party, ...] = ()
    sharing: Mapping[str, Sharing] = field(default_factory=dict)


Texts = Mapping[str, tuple[str, str]]  # language → (title, Markdown)


def fields_of(languages: Collection[str]) -> list[str]:
    """Return the name of every field: ``title.en``, …, ``goal``, …"""
    return [*(f"{name}.{lang}" for lang in languages for name in (*OF_TEXT, *OF_SHARING)), *FRAME]


def written(frame: LetterFrame, texts: Texts, languages: Collection[str]) -> dict[str, str]:
    fields = {
        "goal": str(frame.goal or ""),
        "next_goals": " ".join(map(str, frame.next_goals)),
        "opened_at": letter_toml.written_opening(frame.opened_at) if frame.opened_at else "",
        "closes_at": _written_moment(frame.closes_at),
        "publish_at_number": str(frame.publish_at_number or ""),
        "publish_at_date": _written_moment(frame.publish_at_date),
        "names_in_search": YES if frame.names_in_search else "",
        "names_until": frame.names_until.isoformat() if frame.names_until else "",
        "names_days": str(frame.names_days or ""),
        "initiators": written_parties(frame.initiators),
        "addressees": written_parties(frame.addressees),
    }
    for lang in languages:
        fields[f"title.{lang}"], fields[f"text.{lang}"] = texts.get(lang, ("", ""))
        sharing = frame.sharing.get(lang) or Sharing()
        fields[f"sharing.{lang}"], fields[f"alt.{lang}"] = sharing.text, sharing.alt
        fields[f"picture.{lang}"] = str(sharing.picture_id or "")
    return fields


def _written_moment(moment: datetime | None) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() if moment else ""


def read_moment(value: str) -> datetime | None:
    """Return the time (UTC) in a canonical field."""
    return datetime.fromisoformat(value).replace(tzinfo=UTC) if value else None


def written_parties(parties: Collection[Party]) -> str:
    """Return the canonical form of initiators or addressees; "" for none."""
    rows = [{"names": dict(sorted(party.names.items())), "url": party.url} for party in parties]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")) if rows else ""


def read_parties(value: str) -> tuple[Party, ...]:
    return tuple(Party(row["names"], row["url"]) for row in json.loads(value or "[]"))


def read_frame(fields: Mapping[str, str], languages: Collection[str]) -> LetterFrame:
    """Return what surrounds the text, out of canonical fields."""
    sharing = {
        lang: Sharing(
            fields[f"sharing.{lang}"], PictureId(int(fields[f"picture.{lang}"] or 0)) or None, fields[f"alt.{lang}"]
        )
        for lang in languages
    }
    return LetterFrame(
        goal=int(fields["goal"] or 0) or None,
        next_goals=tuple(int(goal) for goal in fields["next_goals"].split()),
        opened_at=letter_toml.read_opening(fields["opened_at"]) if fields["opened_at"] else None,
        closes_at=read_moment(fields["closes_at"]),
        names_in_search=fields["names_in_search"] == YES,
        publish_at_number=int(fields["publish_at_number"] or 0) or None,
        publish_at_date=read_moment(fields["publish_at_date"]),
        names_until=date.fromisoformat(fields["names_until"]) if fields["names_until"] else None,
        names_days=int(fields["names_days"] or 0) or None,
        initiators=read_parties(fields["initiators"]),
        addressees=read_parties(fields["addressees"]),
        sharing={lang: shared for lang, shared in sharing.items() if shared},
    )


def read_texts(fields: Mapping[str, str], languages: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return the texts, out of canonical fields; a language of which nothing is written is not there."""
    texts = {lang: (fields[f"title.{lang}"], fields[f"text.{lang}"]) for lang in languages}
    return {lang: text for lang, text in texts.items() if any(text)}


def checked(name: str, value: str) -> str:
    """Return what was typed into a field in its canonical form. Raises ``Refused``.

    Of initiators and addressees it takes the canonical form only (see ``checked_party``), of pictures an id.
    """
    rule = _RULES.get(name.partition(".")[0])
    return rule(value) if rule else value


def _title(value: str) -> str:
    title = value.strip()
    if len(title) > TITLE_LENGTH or has_control(title) or re.search(r"[\n\t]", title):
        raise Refused(BAD_TITLE)
    return title


def _text(value: str) -> str:
    body = trimmed(value.replace("\r\n", "\n").replace("\r", "\n"))
    if len(body.encode(errors="replace")) > TEXT_SIZE - 4 * TITLE_LENGTH - 8:  # a folder's file holds the title, too
        raise Refused(LONG_TEXT)
    if has_control(body):
        raise Refused(BAD_TEXT)
    return body


def _sentence(value: str) -> str:
    sentence = clean(re.sub(r"\s+", " ", value))
    if len(sentence) > MAX_SENTENCE or has_hidden(sentence):
        raise Refused(BAD_SENTENCE)
    return sentence


def _number(value: str) -> int | None:
    """Return a goal, however its digits are grouped: by threes, or not at all. "12.5" is none."""
    digits = re.sub(r"(?<=[0-9])[\s.,'’](?=[0-9]{3}(?![0-9]))", "", value.strip())
    number = int(digits) if re.fullmatch("[0-9]{1,10}", digits) else 0
    return number if 0 < number <= MAX_GOAL else None


def _goal(value: str) -> str:
    if not value.strip():
        return ""
    if (number := _number(value)) is None:
        raise Refused(BAD_GOAL)
    return str(number)


def _minimum(value: str) -> str:
    number = _goal(value)
    if number == "1":
        raise Refused(BAD_MINIMUM)
    return number


def _goals(value: str) -> str:
    """Return goals, one space apart: "10 000, 25 000" are two, "10000 25000" as well."""
    text = value.strip()
    if not text:
        return ""
    marked = [part for part in re.split(r"\s*;\s*|,\s+", text) if part]  # only then may spaces group digits
    for parts in (marked if len(marked) > 1 else [], re.split(r"[\s;,]+", text)):
        numbers = [_number(part) for part in parts if part]
        rising = [number for number in numbers if number is not None]
        if rising and len(rising) == len(numbers) <= MAX_NEXT_GOALS and letter_toml.rises(0, rising):
            return " ".join(map(str, rising))
    raise Refused(BAD_GOALS)


def _moment(value: str) -> str:
    if not value.strip():
        return ""
    match = _MOMENT.fullmatch(value.strip())
    if match is None:
        raise Refused(BAD_MOMENT)
    *whole, fraction = match.groups()
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in whole)
        if not YEARS[0] <= year <= YEARS[1]:
            raise Refused(BAD_MOMENT)
        moment = datetime(year, month, day, hour, minute, second, int((fraction or "").ljust(6, "0")), UTC)
    except ValueError:
        raise Refused(BAD_MOMENT) from None
    return moment.replace(tzinfo=None).isoformat()


def _opening(value: str) -> str:
    """Return a day, or a moment if a time was typed."""
    text = value.strip()
    if not text:
        return ""
    moment = _moment(text)
    opening = moment.partition("T")[0] if len(text) <= len("2022-03-05") else moment
    if not letter_toml.is_past(letter_toml.read_opening(opening)):
        raise Refused(NOT_PAST)
    return opening


def _names_until(value: str) -> str:
    text = value.strip()
    try:
        return date.fromisoformat(letter_toml.checked_day(text)).isoformat() if text else ""
    except ValueError:
        raise Refused(BAD_DAY) from None


def _names_days(value: str) -> str:
    text = value.strip()
    if not text:
        return ""
    if not re.fullmatch("[0-9]{1,4}", text) or not 0 < int(text) <= letter_toml.MAX_NAMES_DAYS:
        raise Refused(BAD_DAYS)
    return str(int(text))


def _tick(value: str) -> str:
    return YES if value == YES else ""


_RULES: Mapping[str, Callable[[str], str]] = {
    "title": _title,
    "text": _text,
    "sharing": _sentence,
    "alt": _sentence,
    "goal": _goal,
    "next_goals": _goals,
    "opened_at": _opening,
    "closes_at": _moment,
    "names_in_search": _tick,
    "publish_at_number": _minimum,
    "publish_at_date": _moment,
    "names_until": _names_until,
    "names_days": _names_days,
}


def checked_party(names: Mapping[str, str], url: str) -> Party | None:
    """Return the party in one row of a form, None for an empty row. Raises ``Refused``."""
    cleaned = {lang: clean(name) for lang, name in names.items() if clean(name)}
    url = url.strip()
    if not cleaned and not url:
        return None
    if not cleaned:
        raise Refused(NO_NAME)
    if any(len(name) > MAX_NAME or has_hidden(name) for name in cleaned.values()):
        raise Refused(BAD_NAME)
    if url and not re.match(r"[a-z]+:", url, re.IGNORECASE):
        url = f"https://{url}"
    if url and not letter_toml.is_web_address(url):
        raise Refused(BAD_URL)
    return Party(cleaned, url or None)


def checked_parties(rows: Collection[Party | None]) -> str:
    """Return the canonical form of a form's rows, the empty ones left out. Raises ``Refused``."""
    parties = [party for party in rows if party is not None]
    if len(parties) > MAX_PARTIES:
        raise Refused(MANY_PARTIES)
    return written_parties(parties)


def check_goals(fields: Mapping[str, str]) -> None:
    """Raise ``Refused`` unless the next goals rise from the goal on."""
    goals = tuple(int(goal) for goal in fields["next_goals"].split())
    if goals and not letter_toml.rises(int(fields["goal"] or 0) or None, goals):
        raise Refused(BAD_GOALS, "next_goals")


def digest(value: str) -> str:
    """Return what marks one state of a field (16 hexadecimal digits)."""
    return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()[:16]


def digest_of_all(fields: Mapping[str, str]) -> str:
    """Return what marks one state of a whole draft (16 hexadecimal digits)."""
    return digest(json.dumps(sorted(fields.items())))


@dataclass(frozen=True, slots=True)
class Merge:
    """What becomes of a form: fields to write, and fields that a colleague has changed as well (theirs)."""

    write: Mapping[str, str]
    conflicts: Mapping[str, str]


def merge(now: Mapping[str, str], typed: Mapping[str, str], seen: Mapping[str, str]) -> Merge:
    """Merge what was typed into the draft as it is ``now``; ``seen`` is the digest of each field as the sender saw it.

    A field that was not touched is left alone, one that only this side has changed is written, one that both sides
    have changed to different things is a conflict. A field whose ``seen`` is missing counts as changed by both.
    """
    touched = {name: value for name, value in typed.items() if name in now and digest(value) != seen.get(name)}
    differing = {name: value for name, value in touched.items() if value != now[name]}
    conflicts = {name: now[name] for name in differing if digest(now[name]) != seen.get(name)}
    return Merge({name: value for name, value in differing.items() if name not in conflicts}, conflicts)


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    yield from (name for name in after if before[name] != after[name])
