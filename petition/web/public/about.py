"""What the installation says about itself: privacy and security."""

from contextlib import suppress

from starlette.responses import Response

from petition.core.errors import PetitionError, Unavailable
from petition.letters.model import Letter
from petition.letters.published import PublishedLetter
from petition.stored_data import notice, paragraphs
from petition.stored_data.paragraphs import Circumstances
from petition.web import http
from petition.web.page_cache import ALL, CachedResponse
from petition.web.public.visit import Visit
from petition.web.shared_addresses import cleaned


async def privacy(visit: Visit) -> Response:
    """Say what is stored, and until when; with the way back to the letter that ``letter`` names, if there is one."""
    published: PublishedLetter | None = None
    if name := cleaned(visit.request.query_params.get("letter", "")):
        with suppress(PetitionError):
            published = await visit.services.letters.get(name)
    letter = None if published is None else published.letter

    async def build() -> CachedResponse:
        canonical = f"{visit.services.settings.base_url}/{visit.lang}/privacy"
        language = visit.services.renderer.languages[visit.lang]
        return http.cacheable_page(
            visit.request,
            "privacy.html",
            letter=letter,
            canonical=canonical,
            here=f"/privacy{query}",
            parts=paragraphs.page(language, _circumstances(visit, letter)),
            tables=list(notice.entries(language)),
            notice=notice.NOTICE_VERSION,
        )

    query = "" if letter is None else f"?letter={letter.slug}"
    return await visit.cached_page(f"/privacy{query}", ALL if letter is None else letter.slug, build)


def _circumstances(visit: Visit, letter: Letter | None) -> Circumstances:
    settings = visit.services.settings
    holds = paragraphs.of_installation(mail_in=bool(settings.mail_in), hcaptcha=settings.hcaptcha is not None)
    if letter is None:
        return Circumstances(holds)
    more, values = paragraphs.of_letter(letter.names_until, letter.names_days, names_wait=letter.seals_names)
    return Circumstances([*holds, *more], values)


async def security(visit: Visit) -> Response:
    """Say what is promised, what attackers learn, what does not hold, and how to report a weakness."""
    settings = visit.services.settings

    async def build() -> CachedResponse:
        canonical = f"{settings.base_url}/{visit.lang}/security"
        copy_key = ""
        with suppress(Unavailable):  # the promises are worth reading without it
            copy_key = await _copy_key(visit)
        return http.cacheable_page(
            visit.request,
            "security.html",
            contact=settings.contact,
            copy_key=copy_key,
            canonical=canonical,
            here="/security",
        )

    return await visit.cached_page("/security", ALL, build)


async def _copy_key(visit: Visit) -> str:
    async with visit.services.database.connection() as conn:
        return str((await visit.services.copies.signer(conn)).key)
