"""The files of a mirror, rendered: pages in every language, the count, badges, pictures and documents.

Everything here is synchronous and takes a processor for some 100 ms: call it in a thread.
"""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from petition.core.signed_notes import NoteSigner
from petition.core.templates import Renderer
from petition.count_report import document
from petition.count_report.page_context import page_context
from petition.letters.model import Counts
from petition.mirrors import contexts
from petition.mirrors.links import CopyLinks
from petition.mirrors.model import CopyFacts, LetterSnapshot
from petition.pictures import badge
from petition.pictures.colours import AUTO
from petition.pictures.letter_pictures import badge_of, card_of
from petition.pictures.share_card import draw

# file → template
PAGES = {
    "index": "letter",
    "updates": "updates",
    "answers": "answers",
    "versions": "versions",
    document.PATH: "how_we_count",
}
BADGE_STYLE = "flat"
SECURITY = "security"  # the page of the installation with its key

Files = dict[str, bytes]


def folder_files(snapshot: LetterSnapshot, facts: CopyFacts, renderer: Renderer, signer: NoteSigner) -> Files:
    """Return path → content of everything in a letter's mirror but the manifest."""
    files = dict(_pages(snapshot, facts, renderer))
    files |= dict(_pictures(snapshot, facts, renderer))
    files |= dict(_data(snapshot))
    content = document.document(snapshot.report, renderer.languages, facts.addresses.base_url)
    files[f"{document.PATH}.json"] = _json(document.signed(content, signer))
    files |= {f"documents/answer-{number}.{file.ending}": file.content for number, file in snapshot.documents.items()}
    files |= {f"log/{path}": content for path, content in snapshot.log.items()}
    files |= {f"pictures/{number}.{file.ending}": file.content for number, file in snapshot.pictures.items()}
    return files


def _pages(snapshot: LetterSnapshot, facts: CopyFacts, renderer: Renderer) -> Iterator[tuple[str, bytes]]:
    links = CopyLinks(facts.addresses.base_url, _folder_targets(snapshot, tuple(renderer.languages)))
    shared: dict[str, Any] = {"policy": contexts.policy(renderer.sheet.hash, "'self' data:")}
    nav = {page: f"{page}.html" for page in PAGES} | {"sign": "index.html#sign"}
    for lang, language in renderer.languages.items():
        context = contexts.context_of(snapshot, facts, language, links) | shared | {"nav": nav}
        context |= page_context(snapshot.report, renderer.languages, lang)
        for page, template in PAGES.items():
            html = renderer.render(f"mirrors/{template}.html", lang, page=page, **context)
            yield f"{lang}/{page}.html", html.encode()
    first = next(iter(renderer.languages))
    context = contexts.context_of(snapshot, facts, renderer.languages[first], links) | shared
    context |= {"titles": contexts.titles(snapshot.letter, tuple(renderer.languages))}
    yield "index.html", renderer.render("mirrors/choose.html", first, **context).encode()


def _folder_targets(snapshot: LetterSnapshot, langs: tuple[str, ...]) -> dict[str, str]:
    """Return path on the installation → address from a page in a folder of one language."""
    slug = snapshot.letter.slug
    targets = {f"/{slug}": "../index.html"}
    for lang in langs:
        here = f"/{lang}/{slug}"
        targets |= {here: f"../{lang}/index.html", f"{here}/text": f"../{lang}/index.html"}
        targets |= {f"{here}/{page}": f"../{lang}/{page}.html" for page in PAGES if page != "index"}
        targets[f"{here}/card.png"] = f"../card-{lang}.png"
        for number, file in snapshot.documents.items():
            targets[f"{here}/documents/{number}"] = f"../documents/answer-{number}.{file.ending}"
        for picture, file in snapshot.pictures.items():
            targets[f"{here}/picture/{picture}"] = f"../pictures/{picture}.{file.ending}"
    return targets


def _pictures(snapshot: LetterSnapshot, facts: CopyFacts, renderer: Renderer) -> Iterator[tuple[str, bytes]]:
    for lang, language in renderer.languages.items():
        drawn = badge_of(snapshot.published, language, BADGE_STYLE, AUTO)
        yield f"badge-{lang}.svg", badge.svg(drawn)
        yield f"badge-{lang}.json", _json(badge.shields(drawn.label, drawn.message))
        yield f"card-{lang}.png", draw(card_of(snapshot.published, language, facts.addresses.base_url))


def _data(snapshot: LetterSnapshot) -> Iterator[tuple[str, bytes]]:
    """The count, and the texts by which anyone can compute the digests anew."""
    published = snapshot.published
    yield "count.json", _json(count_of(published.counts, published.counted_at))
    yield (
        "versions.json",
        _json(
            [
                {
                    "number": version.number,
                    "digest": version.digest,
                    "published_at": iso(version.published_at),
                    "texts": {
                        lang: {"title": text.title, "markdown": text.markdown} for lang, text in version.texts.items()
                    },
                }
                for version in snapshot.versions
            ]
        ),
    )


def count_of(counts: Counts, counted_at: datetime) -> dict[str, object]:
    """Return the count as the API has it."""
    numbers = {"total": counts.total, "people": counts.people, "organizations": counts.organizations}
    return {**numbers, "counted_at": iso(counted_at)}


def one_file(snapshot: LetterSnapshot, facts: CopyFacts, renderer: Renderer, first: str, key: str) -> str:
    """Return the letter as one page in all its languages, ``first`` first; the seal comes behind it."""
    links = CopyLinks(facts.addresses.base_url, _data_targets(snapshot))
    langs = [first, *(lang for lang in renderer.languages if lang != first)]
    langs = [lang for lang in langs if lang in snapshot.letter.languages] or [first]
    parts: list[tuple[str, Markup]] = []
    shared: dict[str, Any] = {"policy": contexts.policy(renderer.sheet.hash, "data:"), "key": key}
    context: dict[str, Any] = {}
    for lang in langs:
        nav = {page: f"#{page}-{lang}" for page in (*PAGES, "sign")}
        context = contexts.context_of(snapshot, facts, renderer.languages[lang], links) | shared | {"nav": nav}
        context |= page_context(snapshot.report, renderer.languages, lang)
        context |= {"security": f"{facts.addresses.base_url}/{lang}/{SECURITY}"}
        parts.append((lang, Markup(renderer.render("mirrors/one_language.html", lang, **context))))  # noqa: S704
    context = {**context, "titles": contexts.titles(snapshot.letter, langs), "parts": parts}
    return renderer.render("mirrors/one_file.html", langs[0], **context)


def _data_targets(snapshot: LetterSnapshot) -> dict[str, str]:
    """Return path on the installation → what stands for it inside one file."""
    slug, targets = snapshot.letter.slug, dict[str, str]()
    for lang in snapshot.letter.languages:
        here = f"/{lang}/{slug}"
        targets |= {here: f"#{lang}", f"{here}/text": f"#{lang}"}
        targets |= {f"{here}/{page}": f"#{page}-{lang}" for page in PAGES if page not in {"index", "updates"}}
        if snapshot.news:
            targets[f"{here}/updates"] = f"#updates-{lang}"
        for picture, file in snapshot.pictures.items():
            content = base64.b64encode(file.content).decode()
            targets[f"{here}/picture/{picture}"] = f"data:{file.media_type};base64,{content}"
    return targets


def list_of_letters(titles: list[tuple[str, list[tuple[str, str]]]], host: str, renderer: Renderer) -> bytes:
    """Return the page above the mirrors in a folder; ``titles`` are (slug, [(language, title)])."""
    first = next(iter(renderer.languages))
    policy = contexts.policy(renderer.sheet.hash, "data:")
    return renderer.render("mirrors/all.html", first, letters=titles, host=host, policy=policy).encode()


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"
