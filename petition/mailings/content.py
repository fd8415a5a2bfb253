"""What the mail of an update says: the update, which letter, why it comes, how to stop it.

A mail has no remote content: pictures become their description, links on the page's own site get its address. A
sensitive letter's mail keeps to neutral words and leads to the page.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import nh3

from petition.core import letter_facts, mail_texts
from petition.core.database import Connection
from petition.core.ids import LetterId, UpdateId
from petition.core.letter_facts import LetterFacts
from petition.core.mail_texts import MailTexts
from petition.core.outbox import DirectMailJob, MailContent
from petition.core.templates import Renderer
from petition.letters import plain_text, update_queries, updates

TEMPLATE = "update"  # the folder
TEST = "update_test"  # the outbox's purpose of a test to oneself
NO_SIGNATURE = 0  # in the links of a test mail: they stop nothing

_TAGS = {
    "p", "h2", "h3", "h4", "ul", "ol", "li", "blockquote", "em", "strong", "a", "hr", "br", "code", "pre", "sup",
}  # fmt: skip
_PICTURE = re.compile(r"<img\b[^>]*>")
_ALT = re.compile(r'\balt="([^"]*)"')

PublishedTexts = Mapping[str, Mapping[str, str]]  # language → {"title": …, "html": …}


def for_mail(published: PublishedTexts, base_url: str) -> dict[str, dict[str, str]]:
    """Return an update's texts as mails have them: title, HTML without pictures, plain text, by language."""
    return {lang: _one(text, base_url) for lang, text in sorted(published.items())}


def _one(text: Mapping[str, str], base_url: str) -> dict[str, str]:
    html = nh3.clean(
        _PICTURE.sub(_description, text["html"]),
        tags=_TAGS,
        attributes={"a": {"href"}, "ol": {"start"}, "li": {"id", "value"}, "sup": {"id"}},
        url_schemes={"http", "https", "mailto"},
        url_relative=_absolute(base_url),
        link_rel=None,
    )
    return {"title": text["title"], "html": html, "text": plain_text.paragraphs(html)}


def _description(match: re.Match[str]) -> str:
    alt = _ALT.search(match[0])
    return f"[{alt[1]}]" if alt and alt[1] else ""


def _absolute(base_url: str) -> Any:
    """Return a function that completes links of this site, and leaves those inside the text."""
    return lambda url: url if url.startswith("#") else f"{base_url}{url}" if url.startswith("/") else None


def content(
    letter: LetterFacts,
    update_id: UpdateId,
    text: Mapping[str, str],
    text_lang: str,
    unsubscribe: str,
    *,
    is_test: bool = False,
) -> MailContent:
    """Return the mail; ``unsubscribe`` is the path of its link behind the language, ``text`` one of ``for_mail``."""
    context = {
        "slug": letter.slug,
        "update": update_id,
        "title": text["title"],
        "html": text["html"],
        "text": text["text"],
        "text_lang": text_lang,
        "unsubscribe": unsubscribe,
        "is_sensitive": letter.sensitive,
        "is_test": is_test,
    }
    return MailContent(TEMPLATE, context, heeds_never=not is_test, letter=letter)


async def load(
    conn: Connection, letter_id: LetterId, update_id: UpdateId, base_url: str
) -> tuple[LetterFacts, dict[str, dict[str, str]]] | None:
    """Return the letter and the texts of an update as it is stored now, a draft too; None if either is gone."""
    facts = await letter_facts.load(conn, letter_id)
    row = await update_queries.one(conn, letter_id, update_id)
    if facts is None or row is None:
        return None
    if row["texts"] and row["state"] != updates.PUBLISHED:
        texts = await asyncio.to_thread(updates.rendered, row["texts"])
        published: PublishedTexts = {lang: asdict(text) for lang, text in texts.items()}
    else:
        published = row["shown"]
    return facts, for_mail(published, base_url)


class UpdateTests:
    """Writes test mails to organizers."""

    def __init__(self, base_url: str, token: str) -> None:
        self._base_url = base_url
        self._token = token

    async def write(self, conn: Connection, job: DirectMailJob) -> MailContent | None:
        """Return the mail in the job's language; None if the update is gone."""
        if job.letter_id is None:
            return None
        update_id = UpdateId(int(str(job.details["update"])))
        loaded = await load(conn, job.letter_id, update_id, self._base_url)
        if loaded is None or job.lang not in loaded[1]:
            return None
        facts, texts = loaded
        path = unsubscribe_path(facts.slug, self._token)
        return content(facts, update_id, texts[job.lang], job.lang, path, is_test=True)


def unsubscribe_path(slug: str, token: str) -> str:
    """Return the path of the link that stops updates, behind the language."""
    return f"/{slug}/unsubscribe/{token}"


def preview(renderer: Renderer, mail: MailContent, lang: str, never_link: str) -> MailTexts:
    """Return a mail as its recipient gets it."""
    about = mail.letter and mail.letter.about(lang)
    context = {**mail.context, "names": mail.names, "about": about, "never_link": never_link}
    return mail_texts.render(renderer, mail.template, lang, context)
