"""The letter's page, kept for everybody, or made once more for the one whose form has errors."""

from collections.abc import Mapping
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from petition.core.errors import Unavailable
from petition.core.i18n import pick_language
from petition.letters import update_queries
from petition.letters.published import PublishedLetter
from petition.signatures import listing
from petition.signatures.model import Kind, Signatory
from petition.web import http
from petition.web.page_cache import CachedResponse
from petition.web.public import page_size
from petition.web.public.form_values import ShownForm

ORGANIZATIONS_SHOWN = 12
PEOPLE_SHOWN = 12
NEWS_SHOWN = 2


async def make(request: Request, live: PublishedLetter, kind: Kind, partner: str) -> CachedResponse:
    """Return the page with as much of the text as fits into the first flight; its form carries the name of ``partner``.

    Raises ``Unavailable``.
    """
    shown = await signatories(request, live)
    letter, lang = live.letter, http.lang_of(request)
    # A page in a language that the letter does not have is a copy of the one it shows.
    canonical = f"{http.services_of(request).settings.base_url}/{letter.shown_in(lang)}/{letter.slug}"

    def render(html: str, cut: bool) -> CachedResponse:
        told = show_context(request, live, kind, shown, html, cut, partner)
        return http.cacheable_page(request, "letters/show.html", **told, canonical=canonical)

    return page_size.fitting(live.letter.text(http.lang_of(request)).html, render)


async def with_form(request: Request, live: PublishedLetter, kind: Kind, form: ShownForm, status: int) -> Response:
    """Show the letter again with what was typed and what is wrong with it; of its text, too, only what fits."""
    try:
        shown: Mapping[str, object] = await signatories(request, live)
    except Unavailable:  # what was typed matters more than who else has signed
        shown = {"organizations": [], "latest": [], "news": []}
    partner = partner_in(live, form.values)

    def render(html: str, cut: bool) -> CachedResponse:
        told = show_context(request, live, kind, shown, html, cut, partner) | {"form": form, "canonical": None}
        return http.cacheable_page(request, "letters/show.html", **told)

    return http.cached_body_as(
        request, page_size.shortened(live.letter.text(http.lang_of(request)).html, render), status
    )


def show_context(
    request: Request, live: PublishedLetter, kind: Kind, shown: Mapping[str, object], html: str, cut: bool, partner: str
) -> dict[str, object]:
    """Return what the letter page's template is given."""
    lang, letter = http.lang_of(request), live.letter
    return {
        "letter": letter,
        "shown_lang": letter.shown_in(lang),
        "text": replace(letter.text(lang), html=html),
        "rest_url": f"/{lang}/{letter.slug}/text" if cut else None,
        "counts": live.counts,
        "counted_at": live.counted_at,
        "as_kind": kind,
        "form": ShownForm(),
        "closed": not letter.takes_signatures,
        "paused": None if letter.pause is None else pick_language(letter.pause, lang),
        "partner": partner,
        "here": f"/{letter.slug}{query_of(kind, partner)}",
        **shown,
    }


async def signatories(request: Request, live: PublishedLetter) -> Mapping[str, object]:
    """Return the newest updates and organizations; people only where they may stand in search engines and archives."""
    letter = live.letter
    async with http.services_of(request).database.connection() as conn:
        news = await update_queries.shown(conn, letter.id, 0, NEWS_SHOWN)
        if letter.switches.list_hidden:
            return {"organizations": [], "latest": [], "news": news}
        organizations, _ = await listing.page(conn, letter.id, Kind.ORGANIZATION, None, ORGANIZATIONS_SHOWN)
        latest: list[Signatory] = []
        if letter.names_in_search:
            latest, _ = await listing.page(conn, letter.id, Kind.PERSON, None, PEOPLE_SHOWN)
    return {"organizations": organizations, "latest": latest, "news": news}


def query_of(kind: Kind, partner: str) -> str:
    """Return what of a letter page's address makes it another page, in the one order in which it is kept."""
    told = {"as": kind.value if kind is Kind.ORGANIZATION else "", "from": partner}
    found = "&".join(f"{name}={value}" for name, value in told.items() if value)
    return f"?{found}" if found else ""


def partner_in(live: PublishedLetter, given: Mapping[str, str]) -> str:
    """Return the partner that an address or a form names, if an organizer has registered it; else ""."""
    name = given.get("from", "")
    return name if name in live.letter.partners else ""


def kind_asked(request: Request) -> Kind:
    """Return which form is asked for by ``?as=``; anything unknown means a person."""
    return Kind.ORGANIZATION if request.query_params.get("as") == Kind.ORGANIZATION else Kind.PERSON
