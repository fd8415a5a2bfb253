"""Languages: the folders below ``locales``. Catalogues are read as written (``.po``) and compiled in memory.

A third language is one more folder there; nothing else in the code names a language.
"""

import functools
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from babel import Locale, dates, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.support import Translations

from petition.core import time_zones
from petition.core.errors import SettingsError

Texts: TypeAlias = Mapping[str, str]  # language → what is said in it
Day: TypeAlias = datetime | date


DOMAIN = "petition"
SOURCE_LANGUAGE = "en"


def N_(message: str) -> str:  # gettext's own name for "translate this later"
    """Mark a message for the catalogues; it is translated where it is shown."""
    return message


# A page of the desk writes the same few days and numbers a hundred times; Babel takes 30 µs for each.
@functools.lru_cache(4096)
def _number(value: int, locale: Locale) -> str:
    return numbers.format_decimal(value, locale=locale)


@functools.lru_cache(4096)
def _day(day: date, locale: Locale) -> str:
    return dates.format_date(day, format="long", locale=locale)


@functools.lru_cache(4096)
def _listed_day(day: date, is_this_year: bool, locale: Locale) -> str:
    return dates.format_skeleton("MMMd" if is_this_year else "yMMMd", day, locale=locale)


@dataclass(frozen=True, slots=True)
class Language:
    """One language of the pages."""

    code: str
    locale: Locale = field(repr=False)
    translations: Translations = field(repr=False)

    @property
    def own_name(self) -> str:
        """Return what its readers call it, e.g. "Русский"."""
        return (Locale.parse(self.code).get_language_name() or self.code).capitalize()

    def gettext(self, message: str) -> str:
        return str(self.translations.ugettext(message)) if message else ""

    def ngettext(self, one: str, many: str, count: int) -> str:
        """Return the plural form that ``count`` takes in this language."""
        return str(self.translations.ungettext(one, many, count))

    def number(self, value: int) -> str:
        """Return ``value`` with this language's digit grouping."""
        return _number(value, self.locale)

    def decimal(self, value: float) -> str:
        """Return ``value`` with at most one digit after the point, as this language writes it."""
        return numbers.format_decimal(value, format="#,##0.#", locale=self.locale)

    def percent(self, share: float) -> str:
        """Return ``share`` (0–1) as a whole percentage."""
        return numbers.format_percent(share, locale=self.locale)

    def date(self, moment: datetime | date) -> str:
        """Return the day (UTC) written out."""
        return _day(moment.date() if isinstance(moment, datetime) else moment, self.locale)

    def clock(self, moment: datetime) -> str:
        """Return the hour and the minute (UTC)."""
        return dates.format_time(moment, format="short", locale=self.locale)

    def short_day(self, moment: datetime) -> str:
        """Return the day (UTC) without its year, as short as is customary."""
        return dates.format_skeleton("MMMd", moment, locale=self.locale)

    def listed_day(self, moment: Day) -> str:
        """Return the day (UTC) as it stands in a list: short, with its year unless that is this one."""
        is_this_year = moment.year == datetime.now(UTC).year
        day = moment.date() if isinstance(moment, datetime) else moment
        return _listed_day(day, is_this_year, self.locale)

    def month(self, moment: datetime) -> str:
        """Return the month (UTC) and its year, as short as is customary."""
        return dates.format_skeleton("yMMM", moment, locale=self.locale)

    def duration(self, length: timedelta) -> str:
        """Return a length of time in one unit, the largest of which there are at least three."""
        return dates.format_timedelta(length, threshold=3, locale=self.locale)

    def ago(self, length: timedelta) -> str:
        """Return how far a moment is from now, in one unit: "3 minutes ago", "in 9 days"."""
        return dates.format_timedelta(length, threshold=1.5, add_direction=True, locale=self.locale)

    def datetime_beside(self, moment: datetime, zone: str) -> str:
        """Return the day and the minute in UTC, and beside it the clock of a zone, with its day if that differs."""
        written = self.datetime(moment)
        return f"{written} · {self.clock_in(moment, zone)}" if time_zones.find(zone) else written

    def clock_in(self, moment: datetime, zone: str, beside: str = time_zones.UTC) -> str:
        """Return the clock of a zone behind its city, with its day if the zone ``beside`` has another one."""
        local = time_zones.local_time(moment, zone)
        is_same_day = local.date() == time_zones.local_time(moment, beside).date()
        day = "" if is_same_day else f"{self.short_day(local)}, "
        return f"{self.city(zone)}\N{NO-BREAK SPACE}{day}{self.clock(local)}"

    def city(self, zone: str) -> str:
        """Return the city that a zone is called by; UTC has none."""
        if zone == time_zones.UTC:
            return "UTC"
        city = self.locale.time_zones.get(zone, {}).get("city")
        return str(city or zone.rpartition("/")[2].replace("_", " "))

    def datetime(self, moment: datetime) -> str:
        """Return the day and the minute (UTC) written out."""
        return f"{self.date(moment)}, {self.clock(moment)} UTC"


class Languages(Mapping[str, Language]):
    """All languages, the source language first."""

    def __init__(self, languages: Mapping[str, Language]) -> None:
        self._languages = dict(languages)

    def __getitem__(self, code: str) -> Language:
        return self._languages[code]

    def __iter__(self) -> Iterator[str]:
        return iter(self._languages)

    def __len__(self) -> int:
        return len(self._languages)

    def best(self, accept_language: str) -> str:
        """Return the language an ``Accept-Language`` header prefers; the first one if it names none of ours."""
        preferred = sorted(_parse_accept(accept_language), key=lambda pair: -pair[1])
        for tag, quality in preferred:
            code = tag.split("-")[0].lower()
            if quality > 0 and code in self:
                return code
        return next(iter(self))


# A language tag, or "*", and its weight (RFC 9110, 12.4.2 and 12.5.4).
_QUALITY = re.compile(r"([A-Za-z0-9*-]+)(?:\s*;\s*[qQ]=([01](?:\.[0-9]{0,3})?))?")


def _parse_accept(header: str) -> list[tuple[str, float]]:
    pairs = []
    for part in header[:500].split(","):
        match = _QUALITY.fullmatch(part.strip())
        if match:
            pairs.append((match[1], float(match[2] or 1)))
    return pairs


def load(folder: Path) -> Languages:
    """Read every catalogue below ``folder``. Raises ``SettingsError`` if one cannot be read or none is there."""
    codes = sorted(path.parent.parent.name for path in folder.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))
    codes.sort(key=lambda code: code != SOURCE_LANGUAGE)
    if not codes:
        raise SettingsError(f"no catalogues below {folder}")
    return Languages({code: _load_one(folder, code) for code in codes})


def _load_one(folder: Path, code: str) -> Language:
    try:
        with (folder / code / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as file:
            catalogue = read_po(file, locale=code, abort_invalid=True)
        compiled = io.BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        # The header may name a region: dates are written as there ("Language: en_GB" in the folder ``en``).
        return Language(code, catalogue.locale or Locale.parse(code), Translations(compiled, DOMAIN))
    except (OSError, ValueError, PoFileError) as error:
        raise SettingsError(f"the catalogue of {code!r} cannot be read: {error}") from None


def pick_language(texts: Texts, lang: str) -> tuple[str, str]:
    """Return (language, text) for a reader of ``lang``: in that language, or the first there is; ("", "") if none."""
    return (lang, texts[lang]) if texts.get(lang) else next(iter(texts.items()), ("", ""))
