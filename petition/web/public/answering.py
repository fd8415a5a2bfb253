"""The addressee's own pages behind its link: the form to answer the letter, and "do not write to us again"."""

import asyncio
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.addressees import addressee_words, answers, files
from petition.addressees.answers import AnswerLink
from petition.core.errors import NotFound, Refused
from petition.letters.published import PublishedLetter
from petition.web import http
from petition.web.public import challenge
from petition.web.public.shown_form import ShownForm
from petition.web.public.visit import Visit

MAX_BODY = files.MAX_BYTES + 64 * 1024
BODY_TIMEOUT = 120.0  # seconds: a file over a slow line
FIELDS = ("name", "role", "text", "url")


@dataclass(frozen=True, slots=True)
class _AnswerVisit:
    published: PublishedLetter
    link: AnswerLink


async def show(visit: Visit) -> Response:
    """Show the form, and what stands about the addressee on the letter's page. It changes nothing."""
    return _page(visit, await _opened(visit), ShownForm())


async def act(visit: Visit) -> Response:
    """Store an answer for the organizers, or an objection to mail; the link is checked before a body is read."""
    visit.allow_form()
    opened = await _opened(visit)
    challenge.check_writable(opened.published)
    body = await http.body_of(visit.request, MAX_BODY, BODY_TIMEOUT)
    form = http.parse_any_form(visit.request.headers.get("content-type", ""), body)
    match form.fields.get("act", "answer"):
        case "answer":
            return await _answer(visit, opened, form.fields, form.files.get("file"))
        case "object" | "allow" as name:
            async with visit.services.database.transaction() as conn:
                await answers.object_to_mail(conn, opened.link, objects=name == "object")
            return visit.redirect(f"{_path(visit)}?done={name}#object")
    raise HTTPException(400)


async def _opened(visit: Visit) -> _AnswerVisit:
    """Return letter and link. Raises ``BadToken``, ``NotFound``, ``Gone``, ``Unavailable``."""
    visit.services.tokens.read_answer(visit.token)  # a forged one costs no look at the database
    published = await visit.published()
    async with visit.services.database.connection() as conn:
        link = await answers.opened(conn, visit.services.tokens, visit.slug, published.letter.id, visit.token)
    return _AnswerVisit(published, link)


async def _answer(visit: Visit, opened: _AnswerVisit, fields: dict[str, str], content: bytes | None) -> Response:
    try:
        answer = answers.parse(fields, has_file=content is not None)
        file = None if content is None else await asyncio.to_thread(files.checked, content)
        async with visit.services.database.transaction() as conn:
            await answers.receive(conn, opened.published.letter.keys, opened.link, answer, file, visit.lang)
    except Refused as refused:
        typed = {name: fields.get(name, "") for name in FIELDS}
        return _page(visit, opened, visit.refused_form(typed, {refused.field: refused.message}), status=422)
    return visit.redirect(f"{_path(visit)}?done=answer")


def _path(visit: Visit) -> str:
    return f"/{visit.slug}/answer/{visit.token}"


def _page(visit: Visit, opened: _AnswerVisit, form: ShownForm, *, status: int = 200) -> Response:
    letter, today = opened.published.letter, opened.published.today
    addressee = next((row for row in letter.addressees if row.id == opened.link.addressee_id), None)
    if addressee is None:
        raise NotFound("the letter does not name this addressee any more")
    base_url = visit.services.settings.base_url
    return visit.page(
        "letters/answer.html",
        status,
        letter=letter,
        name=addressee.name(visit.lang),
        name_lang=addressee.lang(visit.lang),
        words=addressee_words.state_words(visit.language, addressee, today),
        past=[
            addressee_words.event_line(visit.language, letter, addressee, response, base_url)
            for response in addressee.responses
        ],
        has_objected=opened.link.has_objected,
        can_allow=opened.link.mailed,
        token=visit.token,
        form=form,
        done=visit.request.query_params.get("done", ""),
        max_text=answers.MAX_TEXT,
    )
