"""The signatory's own page, opened by the link that confirmed."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import SignatureId
from petition.letters.published import PublishedLetter
from petition.signatures import queries, self_service
from petition.signatures.model import REASONS
from petition.web import http
from petition.web.public import challenge
from petition.web.public.form_values import ShownForm

UNKNOWN_ACT = N_("Choose what to do.")
DELETED = N_("Your signature has been deleted")
DELETED_WHY = N_("We keep nothing of it, and it no longer counts.")


async def show(request: Request) -> Response:
    """Show what is stored and who sees it."""
    http.check_lang(request)
    return await _page(request, ShownForm(), done=request.query_params.get("done"))


async def act(request: Request) -> Response:
    """Carry out one act of the signatory."""
    http.check_lang(request)
    form = await http.form_of(request)
    live, signature = await _place(request)
    challenge.check_writable(live)
    database, letter = http.services_of(request).database, live.letter
    name = form.get("name", "")
    action = form.get("action")
    try:
        match action:
            case "visibility":
                await self_service.change_visibility(database, letter, signature, form.get("visibility", ""), name)
            case "correct":
                await self_service.correct(database, letter, signature, name)
            case "news":
                await self_service.stop_updates(database, letter, signature)
            case "withdraw":
                await self_service.withdraw(database, letter, signature)
            case "delete":
                await self_service.delete(database, letter, signature)
                return _deleted(request)
            case _:
                raise Refused(UNKNOWN_ACT)
    except Refused as refused:
        told = {refused.field: http.language_of(request).gettext(refused.message)}
        return await _page(request, ShownForm(form, told), status=422)
    return http.redirect(f"{request.url.path}?done={action}")


async def data(request: Request) -> Response:
    """Hand everything stored to the signatory, as a file."""
    http.check_lang(request)
    live, signature = await _place(request)
    found = await self_service.load(http.services_of(request).database, live.letter, signature)
    headers = {"cache-control": "no-store", "content-disposition": 'attachment; filename="signature.json"'}
    return JSONResponse({"letter": live.letter.slug, **found.as_json()}, headers=headers)


async def _place(request: Request) -> tuple[PublishedLetter, SignatureId]:
    services = http.services_of(request)
    letter, signature = services.tokens.read_signature(request.path_params["token"])
    return await services.letters.by_id(letter), signature


async def _page(request: Request, form: ShownForm, *, done: str | None = None, status: int = 200) -> Response:
    services = http.services_of(request)
    live, signature = await _place(request)
    async with services.database.connection() as conn:
        waiting = await queries.see_pending(conn, live.letter.id, signature)
    token = request.path_params["token"]
    if waiting is not None:
        return http.redirect(f"/{http.lang_of(request)}/confirm/{token}")
    found = await self_service.load(services.database, live.letter, signature)
    acts = ("visibility", "correct", "news", "withdraw")
    return http.page(
        request,
        "signatures/own_page.html",
        status,
        letter=live.letter,
        token=token,
        signature=found,
        form=form,
        done=done if done in acts else None,
        reasons=REASONS,
    )


def _deleted(request: Request) -> Response:
    language = http.language_of(request)
    return http.page(
        request,
        "error.html",
        200,
        status=200,
        title=language.gettext(DELETED),
        message=language.gettext(DELETED_WHY),
        retry_after=None,
    )
