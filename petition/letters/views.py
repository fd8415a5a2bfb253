"""The public pages of letters: the list of open ones, the letter, its whole text, its versions."""

from dataclasses import dataclass, field

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from petition import web
from petition.kept import Kept, Pages
from petition.letters import differences, pages, queries
from petition.letters.board import Board, Live
from petition.letters.model import Version
from petition.signatures import listing
from petition.signatures.model import Kind, Signatory

ORGANIZATIONS_SHOWN = 12
PEOPLE_SHOWN = 12
ALL = ""  # the group of pages that show more than one letter


@dataclass(frozen=True, slots=True)
class Form:
    """What a form page shows in its fields, and what is wrong with them (in words, in the page's language)."""

    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


async def home(request: Request) -> Response:
    """Lead to the reader's language."""
    languages = web.site_of(request).renderer.languages
    lang = languages.best(request.headers.get("accept-language", ""))
    response = web.see_other(f"/{lang}/")
    response.headers["vary"] = "Accept-Language"
    return response


async def index(request: Request) -> Response:
    """Show the open letters."""
    lang = web.check_lang(request)
    site = web.site_of(request)

    async def make() -> Kept:
        letters = [(live.letter, live.counts) for live in await site.get(Board).index()]
        return web.kept_page(request, "letters/index.html", letters=letters)

    kept = await site.get(Pages).answer(f"/{lang}/", ALL, make)
    return web.KeptResponse(request, kept)


async def show(request: Request) -> Response:
    """Show the letter with its count and the form, all in one answer that fits into the first flight."""
    lang, slug = web.check_lang(request), request.path_params["slug"]
    site = web.site_of(request)
    kind = kind_asked(request)
    live = await site.get(Board).get(slug)
    key = f"/{lang}/{slug}" + (f"?as={kind.value}" if kind is Kind.ORGANIZATION else "")

    async def make() -> Kept:
        shown = await _signatories(request, live)

        def render(html: str, cut: bool) -> Kept:
            return web.kept_page(request, "letters/show.html", **show_context(request, live, kind, shown, html, cut))

        return pages.fitting(live.letter.text(lang).html, render)

    return web.KeptResponse(request, await site.get(Pages).answer(key, slug, make))


async def show_form(request: Request, live: Live, kind: Kind, form: Form, status: int) -> Response:
    """Show the letter again with what was typed and what is wrong with it."""
    lang = web.lang_of(request)
    shown = await _signatories(request, live)
    html = live.letter.text(lang).html
    more = show_context(request, live, kind, shown, html, False) | {
        "form": form,
        "here": f"/{live.letter.slug}",
        "switch_form": "sign-form",
        "switch_action": f"/{live.letter.slug}/sign",
    }
    return web.page(request, "letters/show.html", status, **more)


def show_context(
    request: Request, live: Live, kind: Kind, shown: dict[str, list[Signatory]], html: str, cut: bool
) -> dict[str, object]:
    """Return what the letter page's template is given."""
    lang, letter = web.lang_of(request), live.letter
    return {
        "letter": letter,
        "shown_lang": letter.shown_in(lang),
        "text": letter.text(lang),
        "html": html,
        "rest_url": f"/{lang}/{letter.slug}/text" if cut else None,
        "counts": live.counts,
        "counted_at": live.counted_at,
        "as_kind": kind,
        "form": Form(),
        "closed": not letter.is_open,
        **shown,
    }


async def _signatories(request: Request, live: Live) -> dict[str, list[Signatory]]:
    """Return the newest organizations; people only where the letter allows names in search engines and archives."""
    letter = live.letter
    async with web.site_of(request).database.connection() as conn:
        organizations, _ = await listing.page(conn, letter.id, Kind.ORGANIZATION, None, ORGANIZATIONS_SHOWN)
        latest: list[Signatory] = []
        if letter.names_in_search:
            latest, _ = await listing.page(conn, letter.id, Kind.PERSON, None, PEOPLE_SHOWN)
    return {"organizations": organizations, "latest": latest}


def kind_asked(request: Request) -> Kind:
    """Return which form is asked for by ``?as=``; anything unknown means a person."""
    return Kind.ORGANIZATION if request.query_params.get("as") == Kind.ORGANIZATION else Kind.PERSON


async def text(request: Request) -> Response:
    """Show the whole text of a letter that is too long for its page."""
    lang, slug = web.check_lang(request), request.path_params["slug"]
    site = web.site_of(request)
    live = await site.get(Board).get(slug)

    async def make() -> Kept:
        letter = live.letter
        shown = {"letter": letter, "shown_lang": letter.shown_in(lang), "text": letter.text(lang)}
        return web.kept_page(request, "letters/text.html", **shown)

    return web.KeptResponse(request, await site.get(Pages).answer(f"/{lang}/{slug}/text", slug, make))


async def versions(request: Request) -> Response:
    """Show what changed in the text, when, and how many had signed before."""
    lang, slug = web.check_lang(request), request.path_params["slug"]
    site = web.site_of(request)
    live = await site.get(Board).get(slug)

    async def make() -> Kept:
        async with site.database.connection() as conn:
            found = await queries.versions(conn, live.letter.id)
        shown = {"letter": live.letter, "shown_lang": live.letter.shown_in(lang)}
        return web.kept_page(request, "letters/versions.html", **shown, versions=_compared(found, lang))

    return web.KeptResponse(request, await site.get(Pages).answer(f"/{lang}/{slug}/versions", slug, make))


def _compared(found: list[Version], lang: str) -> list[tuple[Version, list[differences.Block]]]:
    """Return each version with what it changed in the language that is shown; nothing for the first."""
    pairs = []
    for version, before in zip(found, [*found[1:], None], strict=True):
        shown = lang if lang in version.texts else next(iter(version.texts))
        if before is None or shown not in before.texts:
            pairs.append((version, []))
            continue
        old, new = before.texts[shown], version.texts[shown]
        pairs.append((version, differences.changes(f"{old.title}\n\n{old.markdown}", f"{new.title}\n\n{new.markdown}")))
    return pairs


async def privacy(request: Request) -> Response:
    """Say what is kept, and until when."""
    lang = web.check_lang(request)

    async def make() -> Kept:
        return web.kept_page(request, "privacy.html")

    return web.KeptResponse(request, await web.site_of(request).get(Pages).answer(f"/{lang}/privacy", ALL, make))


async def no_such_page(_request: Request) -> Response:
    """Answer what nothing else answers."""
    raise HTTPException(404)
