"""The public form by which a reader reports an entry of the list."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from petition.core import text_cleaning
from petition.core.client_networks import ONION
from petition.core.database import Record
from petition.core.errors import NotFound, Refused
from petition.core.quotas import DEARER, Days
from petition.letters.published import Board, Live
from petition.moderation import labels, report_queries, reports
from petition.signatures.model import Kind
from petition.web import http
from petition.web.public import challenge
from petition.web.public.form_values import Form
from petition.web.throttle import Throttle


async def show(request: Request) -> Response:
    """Show the form, or that the report has arrived."""
    async with http.site_of(request).get(Throttle).reading(http.network_of(request)):
        live, entry = await _place(request)
    return _page(request, live, entry, Form(), sent="sent" in request.query_params)


async def send(request: Request) -> Response:
    """Take a report in. It changes nothing that readers see."""
    http.site_of(request).get(Throttle).form(http.network_of(request))
    form = await http.form_of(request)
    live, entry = await _place(request)
    challenge.check_writable(live)
    try:
        report = reports.read(form)
    except Refused as refused:
        told = {refused.field: http.language_of(request).gettext(refused.message)}
        return _page(request, live, entry, challenge.typed(form, told), status=422)
    passed = await challenge.check(request, form, live, _what(request))
    if isinstance(passed, Response):
        return passed
    site, network = http.site_of(request), http.network_of(request)
    use = (await site.get(Days).today()).hourly("reports", network)
    most = site.settings.limits.reports * (DEARER if network == ONION else 1)
    async with site.database.transaction() as conn:
        keys = live.letter.keys
        taken = await reports.add(conn, live.letter.id, keys, entry["id"], report, passed, use, most)
    return http.see_other(f"{request.url.path}?sent=1") if taken else challenge.too_many(request)


def _what(request: Request) -> str:
    given = request.path_params
    return f"report/{given['kind']}/{given['entry']}"


async def _place(request: Request) -> tuple[Live, Record]:
    http.check_lang(request)
    site, given = http.site_of(request), request.path_params
    live = await site.get(Board).get(given["slug"])
    number = text_cleaning.id_of(given["entry"])
    if given["kind"] not in set(Kind) or number is None or live.letter.switches.list_hidden:
        raise HTTPException(404)
    async with site.database.connection() as conn:
        entry = await report_queries.entry(conn, live.letter.id, given["kind"], number)
    if entry is None:
        raise NotFound("there is no such entry")
    return live, entry


def _page(
    request: Request, live: Live, entry: Record, form: Form, *, sent: bool = False, status: int = 200
) -> Response:
    return http.page(
        request,
        "moderation/report.html",
        status,
        letter=live.letter,
        entry=entry,
        what=_what(request),
        form=form,
        sent=sent,
        complaints=labels.WORDS["complaints"],
        organizing=request.path_params["kind"] == Kind.ORGANIZATION,
    )
