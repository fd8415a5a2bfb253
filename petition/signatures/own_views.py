"""The signatory's own page, opened by the link that confirmed."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from petition import web
from petition.i18n import N_
from petition.letters.board import Board, Live
from petition.signatures import gate, own, queries
from petition.signatures.letter_page import Form
from petition.signatures.model import REASONS
from petition.signatures.own import Refused

UNKNOWN_ACT = N_("Please choose what to do.")
DELETED = N_("Your signature has been deleted")
DELETED_WHY = N_("Nothing of it is kept, and it does not count.")


async def show(request: Request) -> Response:
    """Show what is stored and who sees it."""
    web.check_lang(request)
    return await _page(request, Form(), done=request.query_params.get("done"))


async def act(request: Request) -> Response:
    """Carry out one act of the signatory."""
    web.check_lang(request)
    form = await web.form_of(request)
    live, signature = await _place(request)
    gate.check_writable(live)
    database, letter = web.site_of(request).database, live.letter
    name = form.get("name", "")
    action = form.get("action")
    try:
        match action:
            case "visibility":
                await own.change_visibility(database, letter, signature, form.get("visibility", ""), name)
            case "correct":
                await own.correct(database, letter, signature, name)
            case "news":
                await own.stop_news(database, letter, signature)
            case "withdraw":
                await own.withdraw(database, letter, signature)
            case "delete":
                await own.delete(database, letter, signature)
                return _deleted(request)
            case _:
                raise Refused(UNKNOWN_ACT)
    except Refused as refused:
        told = {refused.field: web.language_of(request).gettext(refused.message)}
        return await _page(request, Form(form, told), status=422)
    return web.see_other(f"{request.url.path}?done={action}")


async def data(request: Request) -> Response:
    """Hand everything stored to the signatory, as a file."""
    web.check_lang(request)
    live, signature = await _place(request)
    found = await own.see(web.site_of(request).database, live.letter, signature)
    headers = {"cache-control": "no-store", "content-disposition": 'attachment; filename="signature.json"'}
    return JSONResponse({"letter": live.letter.slug, **found.as_json()}, headers=headers)


async def _place(request: Request) -> tuple[Live, int]:
    site = web.site_of(request)
    letter, signature = site.tokens.read_signature(request.path_params["token"])
    return await site.get(Board).by_id(letter), signature


async def _page(request: Request, form: Form, *, done: str | None = None, status: int = 200) -> Response:
    site = web.site_of(request)
    live, signature = await _place(request)
    async with site.database.connection() as conn:
        waiting = await queries.see_pending(conn, live.letter.id, signature)
    token = request.path_params["token"]
    if waiting is not None:
        return web.see_other(f"/{web.lang_of(request)}/confirm/{token}")
    found = await own.see(site.database, live.letter, signature)
    acts = ("visibility", "correct", "news", "withdraw")
    return web.page(
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
    language = web.language_of(request)
    return web.page(
        request,
        "error.html",
        200,
        status=200,
        title=language.gettext(DELETED),
        message=language.gettext(DELETED_WHY),
        retry_after=None,
    )
