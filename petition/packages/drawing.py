"""Drawing by Typst: the package as PDF/A-2b with tags (PDF/UA-1), the sheet for paper as PDF.

Both take a moment of a thread, mostly without the interpreter lock. The fonts of this machine may lack a script: such a
letter of a name would make the document invalid, so it is drawn as a box, and the document says so.
"""

import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import unquote, urlsplit

import segno

from petition.core import resources
from petition.core.i18n import N_, Language, Languages, pick_language
from petition.core.typography import typeset
from petition.letters import plain_text
from petition.letters.model import Letter
from petition.letters.parties import Party
from petition.letters.sources import CountSource, SourceKind
from petition.packages.model import PackageFacts
from petition.packages.text_nodes import nodes_of

if TYPE_CHECKING:
    import typst

PdfStandard = Literal["a-2b", "ua-1"]
STANDARDS: Sequence[PdfStandard] = ("a-2b", "ua-1")
SHEET_ROWS = 20
MAX_SUMMARY = 420  # characters of the letter's beginning on a sheet
BOX = "\u25a1"
MAX_PROBED = 300  # different letters that are tried one by one, some 5 ms each; others count as missing
_NAMED_IN_ERROR = re.compile(r'the text `?"(.+?)"`? could not be displayed')
# What the built-in font has: Latin, Cyrillic, Greek, punctuation. The rest is tried once in a process.
_COMMON = re.compile("[\u0020-\u024f\u0370-\u03ff\u0400-\u04ff\u2010-\u2027\u2030-\u203a\u20ac\u2116]")

FROM = N_("From")
TO = N_("To")
COUNTED_AT = N_("have signed by %(time)s")
CONFIRMED = N_("signed on the site and confirmed by e-mail")
LISTED = N_("from lists of names, brought in by the organizers")
ON_PAPER = N_("on paper or elsewhere, without names")
VERSION = N_("Version of the text: SHA-256 of its titles and Markdown, as the site’s API gives them")
ORGANIZATIONS = N_("Organizations: %(number)s")
PEOPLE = N_("People who show their name: the first %(number)s of %(total)s")
UNDRAWN = N_("A box stands for a letter that no font here has. The file of all names has it.")
FOOTER = N_("Signatures: %(total)s, %(time)s")

SHEET_NOTICE = N_(
    "Who signs here is counted on the site without a name. The sheet stays with those who collect, and is handed over "
    "or destroyed after the delivery. Sign once: here or on the site."
)
SHEET_NAME, SHEET_CITY, SHEET_SIGNATURE = N_("Name"), N_("City"), N_("Signature")
SHEET_COLLECTOR = N_("Collected by, where, until when, how many: ____________________________________________")


def draw_package(facts: PackageFacts, languages: Languages, base_url: str) -> bytes:
    """Return the document of a package."""
    letter = facts.letter
    chosen = [languages[lang] for lang in letter.languages if lang in languages] or [languages["en"]]
    inputs = _package_inputs(facts, chosen, base_url)
    return _drawn("package.typ", inputs, facts.made_at, STANDARDS)


def draw_sheet(letter: Letter, language: Language, base_url: str) -> bytes:
    """Return a sheet for signing on paper, one page of A4."""
    text, address = letter.text(language.code), _address(letter, language.code, base_url)
    summary = " ".join(plain_text.paragraphs(text.html).split())
    inputs = {
        "lang": language.code,
        "title": text.title,
        "parties": _parties_line(letter, language),
        "summary": summary if len(summary) <= MAX_SUMMARY else summary[:MAX_SUMMARY].rpartition(" ")[0] + "…",
        "notice": language.gettext(SHEET_NOTICE),
        "columns": ["№", *(language.gettext(word) for word in (SHEET_NAME, SHEET_CITY, SHEET_SIGNATURE))],
        "collector": language.gettext(SHEET_COLLECTOR),
        "rows": SHEET_ROWS,
        **_code(address),
    }
    return _drawn("sheet.typ", inputs, datetime.now(UTC), ())


def _package_inputs(facts: PackageFacts, chosen: Sequence[Language], base_url: str) -> dict[str, Any]:
    letter, first = facts.letter, chosen[0]
    return {
        "lang": first.code,
        "title": letter.text(first.code).title,
        "initiators": [party.name(first.code) for party in letter.initiators],
        "made_at": list(facts.made_at.timetuple()[:6]),
        "translations": [_translation(letter, language, base_url) for language in chosen],
        "parties": [line for language in chosen for line in _parties(letter, language)],
        "total": first.number(facts.counts.total),
        "sources": [_source(source, chosen) for source in facts.sources if source.total],
        "digest": letter.version.digest,
        "organizations": list(facts.names.organizations),
        "people": list(facts.names.people),
        "words": _words(facts, chosen),
        "footer": first.gettext(FOOTER)
        % {"total": first.number(facts.counts.total), "time": first.datetime(facts.made_at)},
        **_code(_address(letter, first.code, base_url)),
    }


def _translation(letter: Letter, language: Language, base_url: str) -> dict[str, Any]:
    text = letter.text(language.code)
    return {
        "lang": language.code,
        "title": text.title,
        "text": nodes_of(typeset(text.html, language.code).replace("\u00ad", ""), base_url),
    }


def _parties(letter: Letter, language: Language) -> list[dict[str, Any]]:
    rows: tuple[tuple[str, Sequence[Party]], ...] = (
        (TO, letter.addressees),
        (FROM, letter.initiators),
    )
    return [
        {"label": f"{language.gettext(label)}:", "names": [party.name(language.code) for party in parties]}
        for label, parties in rows
        if parties
    ]


def _parties_line(letter: Letter, language: Language) -> str:
    return " · ".join(f"{line['label']} {', '.join(line['names'])}" for line in _parties(letter, language))


def _words(facts: PackageFacts, chosen: Sequence[Language]) -> dict[str, list[dict[str, str]]]:
    def both(message: str, **numbers: int | datetime) -> list[dict[str, str]]:
        return [{"lang": language.code, "text": _filled(language, message, numbers)} for language in chosen]

    names = facts.names
    return {
        "counted_at": both(COUNTED_AT, time=facts.made_at),
        "version": both(VERSION),
        "organizations": both(ORGANIZATIONS, number=len(names.organizations)),
        "people": both(PEOPLE, number=len(names.people), total=facts.public_people),
        "undrawn": both(UNDRAWN),
    }


def _filled(language: Language, message: str, values: dict[str, int | datetime]) -> str:
    written = {
        name: language.datetime(value) if isinstance(value, datetime) else language.number(value)
        for name, value in values.items()
    }
    return language.gettext(message) % written


def _source(source: CountSource, chosen: Sequence[Language]) -> dict[str, Any]:
    return {
        "total": chosen[0].number(source.total),
        "words": [{"lang": language.code, "text": _source_words(source, language)} for language in chosen],
    }


def _source_words(source: CountSource, language: Language) -> str:
    words = {SourceKind.CONFIRMED: CONFIRMED, SourceKind.LIST: LISTED, SourceKind.PAPER: ON_PAPER}[source.kind]
    if source.source:
        return f"{language.gettext(words)}: {pick_language(source.source, language.code)[0]}" + (
            f", {language.date(source.on)}" if source.on else ""
        )
    return language.gettext(words)


def _address(letter: Letter, lang: str, base_url: str) -> str:
    return f"{base_url}/{lang}/{letter.slug}"


def _code(address: str) -> dict[str, str]:
    output = io.BytesIO()
    segno.make(address, error="m", micro=False).save(output, kind="svg", border=0, xmldecl=False)
    parts = urlsplit(address)
    return {"address": address, "plain_address": unquote(parts.netloc + parts.path), "code": output.getvalue().decode()}


def _drawn(template: str, inputs: dict[str, Any], at: datetime, standards: Sequence[PdfStandard]) -> bytes:
    """Return the PDF, the letters replaced for which no font is there."""
    text = json.dumps(inputs, ensure_ascii=False)
    rare = [character for character in sorted(set(text)) if not _COMMON.match(character)]
    missing = [*filter(_is_missing, rare[:MAX_PROBED]), *rare[MAX_PROBED:]]
    if missing:
        text = text.translate(dict.fromkeys(map(ord, missing), BOX))
    facts = json.dumps({**json.loads(text), "undrawn": bool(missing)}, ensure_ascii=False)
    pdf = _compiler(template).compile(
        format="pdf", sys_inputs={"facts": facts}, pdf_standards=list(standards), timestamp=int(at.timestamp())
    )
    return cast("bytes", pdf)


@lru_cache(4096)
def _is_missing(character: str) -> bool:
    """Return whether no font of this machine has a letter; combining marks are tried on a letter."""
    import typst

    try:
        _compiler("probe.typ").compile(
            format="pdf", sys_inputs={"text": f"a{character}"}, pdf_standards=["a-2b"], timestamp=0
        )
    except typst.TypstError as error:
        if _NAMED_IN_ERROR.search(str(error)) is None:
            raise
        return True
    return False


@cache
def _compiler(template: str) -> "typst.Compiler":
    """Cached: the compiler searches for the machine's fonts, which takes half a second."""
    import typst  # as in petition.pictures.share_card

    folder = Path(resources.PACKAGE) / "packages"
    return typst.Compiler(str(folder / template), root=str(folder))
