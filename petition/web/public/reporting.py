"""The public form by which a reader reports an entry of the list."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from petition.core.client_networks import ONION
from petition.core.database import Record
from petition.core.errors import NotFound, Refused
from petition.core.form_values import id_of
from petition.core.quotas import HARDER_FACTOR
from petition.letters.published import PublishedLetter
from petition.moderation import labels, report_queries, reports
from petition.signatures.model import Kind
from petition.web import http
from petition.web.public import challenge
from petition.web.public.form_values import ShownForm


async def show(request: Request) -> Response:
    """Show the form, or that the report has arrived."""
    async with http.services_of(request).throttle.read_slot(http.network_of(request)):
        live, entry = await _place(request)
    return _page(request, live, entry, ShownForm(), sent="sent" in request.query_params)


async def send(request: Request) -> Response:
    """Take a report in. It changes nothing that readers see."""
    http.services_of(request).throttle.allow_form(http.network_of(request))
    form = await http.form_of(request)
    live, entry = await _place(request)
    challenge.check_writable(live)
    try:
        report = reports.read(form)
    except Refused as refused:
        told = {refused.field: http.language_of(request).gettext(refused.message)}
        return _page(request, live, entry, challenge.form_values(form, told), status=422)
    passed = await challenge.require_challenge(request, form, live, _what(request))
    if isinstance(passed, Response):
        return passed
    services, network = http.services_of(request), http.network_of(request)
    use = (await services.day_keys.today()).hourly("reports", network)
    most = services.settings.limits.reports * (HARDER_FACTOR if network == ONION else 1)
    async with services.database.transaction() as conn:
        keys = live.letter.keys
        taken = await reports.add(conn, live.letter.id, keys, entry["id"], report, passed, use, most)
    return http.redirect(f"{request.url.path}?sent=1") if taken else challenge.too_many_requests(request)


def _what(request: Request) -> str:
    given = request.path_params
    return f"report/{given['kind']}/{given['entry']}"


async def _place(request: Request) -> tuple[PublishedLetter, Record]:
    http.check_lang(request)
    services, given = http.services_of(request), request.path_params
    live = await services.letters.get(given["slug"])
    number = id_of(given["entry"], int)
    if given["kind"] not in set(Kind) or number is None or live.letter.switches.list_hidden:
        raise HTTPException(404)
    async with services.database.connection() as conn:
        entry = await report_queries.entry(conn, live.letter.id, given["kind"], number)
    if entry is None:
        raise NotFound("there is no such entry")
    return live, entry


def _page(
    request: Request, live: PublishedLetter, entry: Record, form: ShownForm, *, sent: bool = False, status: int = 200
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
