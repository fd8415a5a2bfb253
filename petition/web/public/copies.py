"""A letter as one file, for readers to save and to pass on where the site itself cannot be opened."""

from starlette.responses import Response

from petition.letters.published import PublishedLetter
from petition.web import headers, http
from petition.web.page_cache import CachedResponse, CacheTier, Header, build_response
from petition.web.public.visit import Visit


async def one_file(visit: Visit) -> Response:
    """Answer with the letter in all its languages, sealed; the one of the address comes first."""
    services = visit.services

    async def build(published: PublishedLetter) -> CachedResponse:
        content = await services.copies.one_file(published, visit.lang)
        name = f'attachment; filename="{published.letter.slug}.html"'
        saved: list[Header] = [(b"content-language", visit.lang.encode()), (b"content-disposition", name.encode())]
        saved.append((b"x-robots-tag", b"noindex"))
        return build_response(
            content, http.HTML, [*saved, *headers.html_headers(services.settings, services.renderer.sheet.hash)]
        )

    return await visit.cached_letter_page("/copy.html", build, CacheTier.VARIANT)
