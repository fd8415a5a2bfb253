"""Writes the legal folder: one file of Markdown for each document, in each language."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from petition.core.database import Connection, Record
from petition.core.i18n import Language
from petition.core.settings import Settings
from petition.core.templates import Renderer
from petition.core.version import version
from petition.legal import queries
from petition.signatures.model import REASONS, Reason
from petition.stored_data import notice, paragraphs, words
from petition.stored_data.model import Subject
from petition.stored_data.paragraphs import Circumstances
from petition.stored_data.tables import TABLES
from petition.stored_data.translation import period_text, personal_columns, readers_text, until_text

# Names of files, in both languages: a folder is compared and sent more easily so.
DOCUMENTS = (
    "1-record-of-processing",
    "2-impact-assessment",
    "3-privacy-notice",
    "4-joint-controllers",
    "5-proof-of-deletion",
    "6-statement-of-reasons",
)


@dataclass(frozen=True, slots=True)
class LegalFacts:
    """What the database says."""

    letters: list[Record]
    deletions: list[Record]
    removals: list[Record]
    overdue: dict[str, int]  # by table: rows that have outlived their period


async def read_facts(conn: Connection) -> LegalFacts:
    overdue = {}
    for table in TABLES.values():
        if table.expiry:
            overdue[table.name] = sum([await queries.count_overdue(conn, table, expiry) for expiry in table.expiry])
    return LegalFacts(await queries.letters(conn), await queries.deletions(conn), await queries.removals(conn), overdue)


def write(
    folder: Path, facts: LegalFacts, settings: Settings, renderer: Renderer, langs: Collection[str]
) -> list[Path]:
    """Write the documents below a folder for each language; return their paths. Raises ``OSError``."""
    paths = []
    for lang in langs:
        (folder / lang).mkdir(parents=True, exist_ok=True)
        context = _context(facts, settings, renderer.languages[lang])
        for name in DOCUMENTS:
            path = folder / lang / f"{name}.md"
            path.write_text(renderer.render(f"legal/{name}.md", lang, **context).strip() + "\n", encoding="utf-8")
            paths.append(path)
    return paths


def _context(facts: LegalFacts, settings: Settings, language: Language) -> dict[str, object]:
    holds = paragraphs.of_installation(mail_in=bool(settings.mail_in), hcaptcha=settings.hcaptcha is not None)
    return {
        "today": datetime.now(UTC).date(),
        "program": version(),
        "notice_number": notice.NOTICE_VERSION,
        "notice_digest": notice.digest(language),
        "parts": paragraphs.page(language, Circumstances(holds)),
        "subjects": _subjects(language),
        "letters": [_letter(row, language) for row in facts.letters],
        "deletions": facts.deletions,
        "overdue": facts.overdue,
        "removals": [
            {**row, "reason": language.gettext(REASONS.get(_reason(row["reason"]), REASONS[Reason.OTHER]))}
            for row in facts.removals
        ],
        "relays": [relay.host for relay in settings.relays or ()],
        "mail_in": settings.mail_in,
        "hcaptcha": settings.hcaptcha is not None,
        "keeper": settings.keeper is not None,
        "after_closing": period_text(language, words.AFTER_CLOSING),
        "confirmation": period_text(language, words.CONFIRMATION),
        "after_removal": period_text(language, words.REMOVED),
    }


def _reason(word: str) -> Reason:
    return Reason(word) if word in set(Reason) else Reason.OTHER


def _letter(row: Record, language: Language) -> dict[str, object]:
    texts = row["texts"] or {}
    text = texts.get(language.code) or next(iter(texts.values()), {"title": row["slug"]})
    ends = paragraphs.names_end(language, row["names_until"], row["names_days"])
    return {**row, "title": text["title"], "is_gone": row["state"] == "gone", "ends": ends}


def _subjects(language: Language) -> list[dict[str, object]]:
    """Return the tables that are about people, grouped by subject."""
    subjects: list[dict[str, object]] = []
    for subject in Subject:
        tables = [table for table in TABLES.values() if table.about is subject and table.is_personal]
        entries = [
            {
                "name": table.name,
                "what": language.gettext(table.what),
                "columns": personal_columns(language, table),
                "why": language.gettext(table.why),
                "until": until_text(language, table.until),
                "readers": readers_text(language, table),
            }
            for table in tables
        ]
        if entries:
            subjects.append({"title": language.gettext(subject), "tables": entries})
    return subjects
