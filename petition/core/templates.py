"""Templates to text. Knows nothing of requests, so that mail renders the same way."""

import base64
import functools
import hashlib
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from babel.core import Locale, get_global
from jinja2 import Environment, FunctionLoader, StrictUndefined, pass_context, pass_eval_context, select_autoescape
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from markupsafe import Markup

from petition.core import resources, time_zones, typography
from petition.core.i18n import Language, Languages

_READERS_ZONE = "Europe/Moscow"  # where most readers of the letters that this was made for are

STATIC = resources.PACKAGE / "static"
# The pages on the way from the form to the thanks: they stay small, because the letter and they share a connection.
_SMALL_PAGES = frozenset(
    f"signatures/{name}.html"
    for name in ("ask_address", "check_your_inbox", "confirm", "deleted", "find", "one_more_step")
) | {"error.html"}
_LETTER_PAGES = ("letters/show.html", "letters/preview.html")


class Renderer:
    """One Jinja environment per language, so that a page cannot mix two."""

    def __init__(self, languages: Languages, base_url: str, controller: str | None) -> None:
        self.languages = languages
        self.sheet = InlineSheet(_joined("tokens.css", "base.css", "letter.css", "site.css"))
        self._sheets = dict.fromkeys(_SMALL_PAGES, InlineSheet(_joined("tokens.css", "base.css")))
        self._sheets |= dict.fromkeys(_LETTER_PAGES, InlineSheet(_joined("tokens.css", "base.css", "letter.css")))
        self._sheets["letters/witness.html"] = InlineSheet(
            _joined("tokens.css", "base.css", "letter.css", "site.css", "builder.css")
        )
        self._common: dict[str, Any] = {"base_url": base_url, "controller": controller}
        self._common |= {"languages": tuple(languages), "banners": (), "mirrors": ()}
        self._environments = {code: _environment(language, languages) for code, language in languages.items()}

    def render(self, name: str, lang: str, /, **context: Any) -> str:
        """Return template ``name`` in ``lang``. A name the template uses and the context lacks is an error."""
        variables = {**self._common, "css": self.sheet_of(name).css, "lang": lang, **context}
        return self._environments[lang].get_template(name).render(variables)

    def sheet_of(self, name: str) -> "InlineSheet":
        """Return the style sheet that template ``name`` carries."""
        return self._sheets.get(name, self.sheet)


class InlineSheet:
    """A style sheet as it stands inside a page, and how a content security policy names it (CSP 3, 2.3.1)."""

    def __init__(self, css: Markup) -> None:
        self.css = css
        self.hash = hash_of(css)


def sheet(name: str) -> Markup:
    """Return one of our style sheets as it stands inside a page."""
    return _joined(name)


def _joined(*names: str) -> Markup:
    return Markup("".join(_compact(_sheet(name)) for name in names))  # noqa: S704  # our own files


def hash_of(source: str) -> str:
    """Return how a content security policy names an inline style (CSP 3, 2.3.1)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


@functools.cache
def _sources() -> dict[str, tuple[str, str, None]]:
    """Return the text of every template with its path: a process that can open no more files still has them."""
    folder = resources.folder("templates")
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): (path.read_text("utf-8"), str(path), None) for path in paths}


def _environment(language: Language, languages: Languages) -> Environment:
    environment = Environment(
        loader=FunctionLoader(_sources().get),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the i18n extension adds it
        language.gettext, language.ngettext, newstyle=True
    )
    environment.globals["_"] = _translating(language)
    environment.filters |= _filters(language)
    environment.globals |= {
        "language_name": lambda code: languages[code].own_name,
        "in_words_of": lambda code, message: languages[code].gettext(message),
        "page_language": language,
        "og_locale": lambda code: _facebook_locale(languages[code].locale),
        "static": static_url(),
    }
    return environment


def _translating(language: Language) -> Callable[..., str]:
    """Return what the extension's own ``_`` does, three times as fast: pages of the desk say a few words very often."""

    single_stop = _single_stop(language)

    @functools.lru_cache(4096)
    def translated(message: str, autoescape: bool) -> str:
        text = language.gettext(message)
        return Markup(text) if autoescape else text  # noqa: S704  # our own catalogues

    @functools.lru_cache(4096)
    def whole(message: str, autoescape: bool) -> str:
        return translated(message, autoescape) % {}  # "%%" is a percent sign with and without values

    @pass_eval_context
    def translate(context: EvalContext, message: str, /, **values: object) -> str:
        if not values:
            return whole(message, context.autoescape)
        return single_stop(translated(message, context.autoescape) % values)

    return translate


def _single_stop(language: Language) -> Callable[[str], str]:
    """Return a function that drops a full stop behind a date that ends in one, as in "29 декабря 2026 г."."""
    end = re.search(r"\D*\.$", language.date(date(2026, 12, 29)))
    if end is None:
        return lambda text: text
    return lambda text: text.replace(end[0] + ".", end[0])


def _sheet(name: str) -> str:
    return (STATIC / "css" / name).read_text(encoding="utf-8")


def _compact(css: str) -> str:
    """Drop comments and white space: they are for us, and every page carries the sheet. What is quoted stays."""
    parts = re.split(r'("[^"]*")', re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL))
    parts[::2] = [_compact_rules(part) for part in parts[::2]]
    return "".join(parts).strip()


def _compact_rules(css: str) -> str:
    css = re.sub(r"\s*\n\s*", "\n", css).replace(": ", ":")
    return re.sub(r"\s*([{};,])\s*", r"\1", css).replace("\n", " ").replace(";}", "}")


def _filters(language: Language) -> dict[str, Callable[..., object]]:
    return {
        "n": language.number,
        "signed": lambda value: f"{'−' if value < 0 else '+'}{language.number(abs(value))}",
        "percent": language.percent,
        "date": language.date,
        "datetime": _datetime_filter(language),
        "clocks": _clocks_filter(language),
        "readersclock": lambda moment: language.clock_in(moment, _READERS_ZONE),
        "zonename": language.city,
        "here": _local_time_filter(),
        "zones": _zones_filter(language),
        "ago": language.ago,
        "day": lambda moment: moment.date().isoformat(),
        "iso": lambda moment: moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "shortdate": language.listed_day,
        "clock": language.clock,
        "shortday": language.short_day,
        "duration": language.duration,
        "heading": typography.heading,
        "typeset": lambda html, lang: Markup(typography.typeset(html, lang)),  # noqa: S704  # sanitized when saved
        "script": typography.script_lang,
        "host": lambda url: urlsplit(url).netloc,
        "languagename": lambda code: language.locale.languages.get(code, code),
        "countryname": lambda code: _territory(language.locale, code),
    }


def _facebook_locale(locale: Locale) -> str:
    """Return language and territory as the Open Graph has them: its likely territory where the catalogue has none."""
    likely = get_global("likely_subtags").get(locale.language, "")
    return f"{locale.language}_{locale.territory or likely.rpartition('_')[2]}"


def _datetime_filter(language: Language) -> Callable[..., str]:
    @functools.lru_cache(4096)
    def written(moment: datetime, zone: str) -> str:
        return language.datetime_beside(moment, zone)

    @pass_context
    def with_zone(context: Context, moment: datetime) -> str:
        return written(moment, context.get("zone") or "")

    return with_zone


def _clocks_filter(language: Language) -> Callable[..., str]:
    """Return a filter from a moment, or what an organizer typed for one, to its clocks in other places."""

    @pass_context
    def clocks(context: Context, moment: datetime | str) -> str:
        own = context.get("zone") or time_zones.UTC
        try:
            at = time_zones.moments_of(datetime.fromisoformat(moment), own)[0] if isinstance(moment, str) else moment
        except ValueError:
            return ""
        return " · ".join(language.clock_in(at, zone, own) for zone in _other_zones(own))

    return clocks


def _local_time_filter() -> Callable[..., datetime]:
    """Return a filter from a moment to the organizer's clock, as a time without a zone."""

    @pass_context
    def here(context: Context, moment: datetime) -> datetime:
        return time_zones.local_time(moment, context.get("zone") or time_zones.UTC)

    return here


def _zones_filter(language: Language) -> Callable[..., str]:
    """Return a filter to "zone=city" of the zones that ``clocks`` shows, for a script that shows them while typing."""

    @pass_context
    def zones(context: Context, _: object) -> str:
        zones = _other_zones(context.get("zone") or time_zones.UTC)
        return ";".join(f"{zone or 'UTC'}={language.city(zone)}" for zone in zones)

    return zones


def _other_zones(own: str) -> list[str]:
    return [zone for zone in (time_zones.UTC, _READERS_ZONE) if zone != own]


@functools.lru_cache(1024)
def _territory(locale: Locale, code: str) -> str:
    name = locale.territories.get(code) or code
    # CLDR writes Russian without "ё", our texts with it; no other country's name has one to miss.
    return name.replace("Соединенные", "Соединённые").replace("Объединенные", "Объединённые")


def static_url() -> Callable[[str], str]:
    """Return a function from "js/sign.js" to its address, with a digest in it so that it may be cached for a year.

    The digest is of all files together: a script passes its own on to the modules that it imports.
    """
    files = {path.relative_to(STATIC).as_posix(): path.read_bytes() for path in sorted(_static_files())}
    digest = hashlib.sha256(b"".join(files.values())).hexdigest()[:12]
    addresses = {name: f"/static/{name}?v={digest}" for name in files}
    return addresses.__getitem__


def _static_files() -> list[Path]:
    return [path for path in STATIC.rglob("*") if path.is_file()]
