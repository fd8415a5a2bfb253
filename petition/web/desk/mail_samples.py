"""Sample values for the preview of every mail: what a template gets, invented.

One set of values serves all: a template that uses a name which is not here fails its test.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from markupsafe import Markup

from petition.core import mail_texts, resources
from petition.core.letter_facts import LetterAbout, SignatoryNames
from petition.core.mail_texts import MailTexts
from petition.core.templates import Renderer
from petition.incoming_mail import filled_lines
from petition.web.desk.mail_cases import MailCase

TOKEN = "SAMPLE"  # noqa: S105 - leads nowhere
SLUG = "keep-the-channels-open"
NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)

_TITLES = {"en": "Keep the channels open", "ru": "Не закрывайте каналы связи"}
_TEXTS = {
    "en": "One company has answered and changed its course. The others are silent.",
    "ru": "Одна компания ответила и изменила решение. Остальные молчат.",
}
_PEOPLE = {"en": "Alice Example", "ru": "Алиса Примерова"}
_INITIATORS = {"en": "Society of the North Pier", "ru": "Общество «Северный пирс»"}
_AUDITORS = {"en": "Society for Fair Counts", "ru": "Общество «Честный счёт»"}
_ORGANIZATIONS = "North Pier // Северный пирс"


@dataclass(frozen=True, slots=True)
class SampleRef:
    """A signature, as mails with several links name them."""

    names: SignatoryNames
    kind: str


def names() -> list[str]:
    """Return every mail there is: the folders below ``templates/email``."""
    folder = Path(resources.folder("templates")) / mail_texts.FOLDER
    return sorted(path.parent.name for path in folder.glob("*/subject.txt"))


def render(renderer: Renderer, name: str, lang: str, base_url: str, case: MailCase | None = None) -> MailTexts:
    """Return one mail with sample values."""
    return mail_texts.render(renderer, name, lang, context(lang, base_url, tuple(renderer.languages), case))


def context(lang: str, base_url: str, languages: tuple[str, ...], case: MailCase | None = None) -> dict[str, object]:
    """Return the values of all mails in one language; ``case`` changes some."""
    values = _context(lang, base_url, languages)
    if case is not None:
        values |= case.values
        letters = values["letters"]
        values["letters"] = tuple({**row, **case.row} for row in letters) if isinstance(letters, tuple) else ()
    return values


def _context(lang: str, base_url: str, languages: tuple[str, ...]) -> dict[str, object]:
    code = lang if lang in _TITLES else "en"
    person, page = _PEOPLE[code], f"{base_url}/{lang}"
    signatory = SignatoryNames(person, _ORGANIZATIONS)
    refs = [SampleRef(SignatoryNames(person), "person"), SampleRef(signatory, "organization")]
    links = [(ref, f"{page}/signature/{TOKEN}") for ref in refs]
    return {
        "about": LetterAbout(_TITLES[code], code, (_INITIATORS[code],), 2),
        "names": signatory,
        "kind": "organization",
        "link": links[0][1],
        "links": links,
        "letter_url": f"{page}/{SLUG}",
        "never_link": f"{page}/never/{TOKEN}",
        "unsubscribe": f"/unsubscribe/{TOKEN}",
        "code": "123456",
        "by_reply": True,
        "token": TOKEN,
        "auditor": _AUDITORS[code],
        "until": NOW + timedelta(days=14),
        "reply": TOKEN,
        **_letter(code),
        **_desk(code),
        **_answer(code, languages),
    }


def _letter(code: str) -> Mapping[str, object]:
    return {
        "slug": SLUG,
        "title": _TITLES[code],
        "text": _TEXTS[code],
        "text_lang": code,
        "html": Markup("<p>{}</p>").format(_TEXTS[code]),
        "initiators": (_INITIATORS[code],),
        "name": _PEOPLE[code],
        "people": 3436,
        "organizations": 35,
        "now": NOW,
        "package": f"/package/{SLUG}.zip",
        "is_cut": False,
        "is_reminder": False,
        "is_sensitive": False,
        "is_test": False,
        "update": 1,
        "state": "removed",
        "why": None,
        "held": True,
    }


def _desk(code: str) -> Mapping[str, object]:
    waiting = {"slug": SLUG, "title": _TITLES[code], "held": 3, "reported": 1, "flagged": 2, "imports": 1}
    waiting |= {"answers": 1, "goals": (5000,)}
    return {
        "act": "export",
        "actor": _PEOPLE[code],
        "who": _PEOPLE[code],
        "asker": _PEOPLE[code],
        "subject": _PEOPLE[code],
        "invited_by": _PEOPLE[code],
        "role": "editor",
        "at": NOW,
        "due_at": NOW + timedelta(days=2),
        "usable_at": NOW + timedelta(days=1),
        "days": 7,
        "minutes": 15,
        "has_page": True,
        "is_own": False,
        "is_again": False,
        "mailboxes": 12,
        "number": 1,
        "key": "age1sample",
        "relay": "relay.example:587",
        "letters": (waiting,),
        "relays": 1,
        "has_work": True,
    }


def _answer(code: str, languages: tuple[str, ...]) -> Mapping[str, object]:
    """Return the values of answers to those who read and sign by mail."""
    text = {
        "lang": code,
        "title": _TITLES[code],
        "plain": _TEXTS[code],
        "html": Markup("<p>{}</p>").format(_TEXTS[code]),
    }
    known = [lang for lang in languages if lang in filled_lines.LABELS]
    return {
        "can_sign": True,
        "is_open": True,
        "reasons": (),
        "tag": "sample",
        "mark": "sample",
        "address": f"sign+{SLUG}@letters.example",
        "addressees": (),
        "texts": (text,),
        "lines": {lang: filled_lines.blank_line(lang) for lang in known},
        "choices": {lang: filled_lines.choices(lang) for lang in known},
    }
