"""The letter's page: cached for all readers, or rendered once more for a form that has errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import cast
from zlib import crc32

import segno
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from petition.addressees import addressee_words
from petition.addressees.addressee_words import AddresseeLine
from petition.core.errors import Unavailable
from petition.core.i18n import Language, pick_language
from petition.core.typography import typeset
from petition.letters import update_queries
from petition.letters.addressees import AddresseeState, timeline
from petition.letters.published import PublishedLetter
from petition.letters.sources import sources_of
from petition.signatures import forms, listing
from petition.signatures.model import Kind, Signatory
from petition.web import http
from petition.web.page_cache import CachedResponse
from petition.web.public import page_size, signing_mail
from petition.web.public.shown_form import ShownForm
from petition.web.public.signatories import listed
from petition.web.public.visit import Visit
from petition.web.shared_addresses import cleaned

AWAY = 503
MAX_ORGANIZATIONS = 60  # all are named if there are no more and the page fits, else the newest FEW_ORGANIZATIONS
FEW_ORGANIZATIONS = 12
LEAN_ORGANIZATIONS = 4
MAX_PEOPLE = 12
MAX_NEWS = 2
MAX_TALLIES = 3
MAX_ADDRESSEES = 6
MAX_REACHED = 12  # updates, deliveries and answers on the page of a closed letter, which says what it reached

NO_ROWS: Mapping[str, object] = {"organizations": [], "latest": [], "news": []}


@dataclass(frozen=True, slots=True)
class LetterPage:
    """What the page shows, apart from how much of the text. ``rows`` are organizations, latest people and news."""

    published: PublishedLetter
    lang: str
    rows: Mapping[str, object]
    kind: Kind = Kind.PERSON
    partner: str = ""
    form: ShownForm = field(default_factory=ShownForm)
    has_code: bool = True  # the code for paper
    is_lean: bool = False  # without what the text is worth more than: most links, old names

    @property
    def html(self) -> str:
        letter = self.published.letter
        return typeset(letter.text(self.lang).html, letter.shown_in(self.lang))

    @property
    def organizations(self) -> list[Signatory]:
        return cast("list[Signatory]", self.rows["organizations"])

    def with_few_organizations(self) -> "LetterPage":
        """Return the page with the newest organizations only, so that more of the text fits."""
        return replace(self, rows={**self.rows, "organizations": self.organizations[:FEW_ORGANIZATIONS]})

    def without_code(self) -> "LetterPage":
        """Return the page without the code for paper, which costs 400 bytes."""
        return replace(self, has_code=False)

    def lean(self) -> "LetterPage":
        """Return the page with less of what stands on other pages too, so that more of the text fits."""
        rows = {**self.rows, "organizations": self.organizations[:LEAN_ORGANIZATIONS]}
        return replace(self, is_lean=True, rows=rows)

    def _addressee_lines(self, language: Language, base_url: str) -> list[AddresseeLine]:
        """Return what became of the letter with those who did most, so that many addressees do not fill the page."""
        lines = addressee_words.lines(language, self.published.letter, self.published.today, base_url)
        order = list(AddresseeState)
        chosen = sorted(lines, key=lambda line: -order.index(line.state))[:MAX_ADDRESSEES]
        return [line for line in lines if line in chosen]

    def _reached(self, language: Language, base_url: str) -> list[tuple[datetime, object, object]]:
        """Return (time, row or None, texts or event) of the updates, deliveries and answers, the oldest first."""
        letter = self.published.letter
        news = cast("list[tuple[Mapping[str, datetime], object]]", self.rows["news"])
        dated: list[tuple[datetime, object, object]] = [(row["published_at"], row, texts) for row, texts in news]
        dated += [
            (response.at, None, addressee_words.event_line(language, letter, addressee, response, base_url))
            for addressee, response in timeline(letter.addressees)
        ]
        return sorted(dated, key=lambda entry: entry[0])[-MAX_REACHED:]

    def context(self, html: str, language: Language, base_url: str, *, cut: bool) -> dict[str, object]:
        """Return the template's context with ``html`` as the text; ``cut`` if that is not all of it."""
        letter = self.published.letter
        return {
            "letter": letter,
            "text_lang": letter.shown_in(self.lang),
            "text": replace(letter.text(self.lang), html=html),
            "rest_url": f"/{self.lang}/{letter.slug}/text" if cut else None,
            "counts": self.published.counts,
            "sources": sources_of(letter, self.published.counts, MAX_TALLIES),
            "counted_at": self.published.counted_at,
            "as_kind": self.kind,
            "form": self.form,
            "closed": not letter.takes_signatures,
            "paused": None if letter.pause is None else pick_language(letter.pause, self.lang),
            "partner": self.partner,
            "qr": qr_code(f"{base_url}/{self.lang}/{letter.slug}") if self.has_code else None,
            "is_lean": self.is_lean,
            "addressees": (lines := self._addressee_lines(language, base_url)),
            "card_mark": card_mark([line.words for line in lines]),
            "reached": self._reached(language, base_url),
            "listed_people": listed(self.published, Kind.PERSON),
            "here": f"/{letter.slug}{query_of(self.kind, self.partner)}",
            **self.rows,
        }

    def renderer(self, request: Request, canonical: str | None) -> page_size.Render:
        services = http.services_of(request)
        language, base_url = services.renderer.languages[self.lang], services.settings.base_url
        mailto = signing_mail.mailto(services, self.published.letter, self.lang)
        return lambda html, cut: http.cacheable_page(
            request,
            "letters/show.html",
            **self.context(html, language, base_url, cut=cut),
            mailto=mailto,
            mirrors=services.settings.mirrors.urls,
            canonical=canonical,
        )


def card_mark(words: Sequence[str]) -> str:
    """Return a mark for the picture's address, another when the words on it change; "" without any."""
    return f"{crc32(' '.join(words).encode()):x}" if words else ""


@lru_cache(1024)
def qr_code(address: str) -> Markup:
    """Draw an address for paper, as SVG inside the page: some 400 bytes compressed, and no further request."""
    code = segno.make(address, error="m", micro=False, boost_error=False)
    return Markup(code.svg_inline(omitsize=True, border=0, svgclass="qr", lineclass=None))  # noqa: S704  # of an address


async def build(visit: Visit, published: PublishedLetter, kind: Kind, partner: str) -> CachedResponse:
    """Return the page with as much of the text as fits, before which other things go; its form names ``partner``.

    Raises ``Unavailable``.
    """
    letter, lang = published.letter, visit.lang
    page = LetterPage(published, lang, await newest_rows(visit, published), kind, partner)
    # A page in a language that the letter does not have is a copy of the one it shows.
    canonical = f"{visit.services.settings.base_url}/{letter.shown_in(lang)}/{letter.slug}"
    candidates = [page.with_few_organizations(), page.lean()]
    if FEW_ORGANIZATIONS < len(page.organizations) == published.counts.organizations:
        candidates.insert(0, page)
    for candidate in candidates:
        whole = candidate.renderer(visit.request, canonical)(candidate.html, False)
        if page_size.fits(whole):
            return whole
    shorter = page.lean().without_code()
    return page_size.fit(shorter.html, shorter.renderer(visit.request, canonical))


async def with_form(visit: Visit, published: PublishedLetter, form: ShownForm, status: int) -> Response:
    """Answer with the page, what was typed and what is wrong with it; of the text, too, only what fits.

    Raises ``Unavailable`` if too many wait for pages.
    """
    rows = NO_ROWS
    try:
        if status != AWAY:  # the database has just kept this visitor waiting
            rows = await newest_rows(visit, published)
    except Unavailable:  # what was typed matters more than the names of other signatories
        pass
    partner = registered_partner(published, form.values)
    page = LetterPage(published, visit.lang, rows, forms.kind_of(form.values), partner, form).lean().without_code()
    await visit.turn()
    response = page_size.fit_beginning(page.html, page.renderer(visit.request, canonical=None))
    return http.cached_body_as(visit.request, response, status)


async def newest_rows(visit: Visit, published: PublishedLetter) -> Mapping[str, object]:
    """Return the newest updates and organizations; people only where they may stand in search engines and archives."""
    letter = published.letter
    async with visit.services.database.connection() as conn:
        news = await update_queries.published(conn, letter.id, 0, MAX_NEWS if letter.is_open else MAX_REACHED)
        if letter.conceals_names or visit.is_nameless:
            return {**NO_ROWS, "news": news}
        if letter.sensitive:  # search engines may keep this page, and not the list
            return {**NO_ROWS, "news": news}
        organizations, _ = await listing.page(conn, letter.id, Kind.ORGANIZATION, None, MAX_ORGANIZATIONS)
        latest: list[Signatory] = []
        if letter.names_in_search:
            latest, _ = await listing.page(conn, letter.id, Kind.PERSON, None, MAX_PEOPLE)
    return {"organizations": organizations, "latest": latest, "news": news}


def query_of(kind: Kind, partner: str) -> str:
    """Return the query that makes a letter page another page, in the one order under which it is cached."""
    params = {"as": kind.value if kind is Kind.ORGANIZATION else "", "from": partner}
    query = "&".join(f"{name}={value}" for name, value in params.items() if value)
    return f"?{query}" if query else ""


def registered_partner(published: PublishedLetter, params: Mapping[str, str]) -> str:
    """Return the partner that a query or a form names, if an organizer has registered it; else ""."""
    name = cleaned(params.get("from", ""))
    return name if name in published.letter.partners else ""


def kind_in_query(visit: Visit) -> Kind:
    """Return which form ``?as=`` asks for; anything unknown means a person."""
    return Kind.ORGANIZATION if cleaned(visit.request.query_params.get("as", "")) == Kind.ORGANIZATION else Kind.PERSON
