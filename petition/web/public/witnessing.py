"""For partners who check a count log: how to, the program as one file, and where they hand back what they sign."""

from starlette.responses import Response

from petition.core import signing_key
from petition.core.database import Connection
from petition.core.errors import NotFound
from petition.core.ids import LetterId
from petition.core.signed_notes import NoteKey
from petition.count_log import reading, witness_bundle, witnesses
from petition.count_log.checkpoints import Checkpoint
from petition.count_log.reading import LogHead
from petition.count_log.witnesses import BadCosignature, OtherLog, UnknownWitness
from petition.web import http
from petition.web.public.count_log import FRESH, PUBLIC, TEXT
from petition.web.public.visit import Visit

UNKEPT = PUBLIC | {"cache-control": "no-store"}
STATUSES = {UnknownWitness: 403, OtherLog: 409, BadCosignature: 422}


async def show(visit: Visit) -> Response:
    """Say what a witness is, and how to become one."""
    published = await visit.published()
    letter = published.letter
    async with visit.services.throttle.read_slot(visit.network), visit.services.database.connection() as conn:
        seen = await witnesses.witnessed(conn, letter.id)
        log = await reading.head(conn, letter.id)
        key = "" if log is None else str(await _log_key(conn, visit, log))
    return visit.page(
        "letters/witness.html",
        letter=letter,
        log=seen,
        log_key=key,
        program=witness_bundle.NAME,
        digest=witness_bundle.sha256(),
        url=f"{visit.services.settings.base_url}/{visit.lang}/{letter.slug}",
    )


async def program(_visit: Visit) -> Response:
    """Answer with the program, as one file."""
    headers = PUBLIC | {
        "cache-control": "public, max-age=300",
        "content-disposition": f'attachment; filename="{witness_bundle.NAME}"',
    }
    return Response(witness_bundle.content(), headers=headers, media_type="text/x-python; charset=utf-8")


async def log_key(visit: Visit) -> Response:
    """Answer with the key that verifies the log's checkpoints: name+hash+key."""
    letter = (await visit.published()).letter
    async with visit.services.database.connection() as conn:
        log = await _head(conn, letter.id)
        key = await _log_key(conn, visit, log)
    return Response(f"{key}\n", headers=FRESH, media_type=TEXT)


async def cosigned(visit: Visit) -> Response:
    """Answer with the newest checkpoint that a witness has cosigned."""
    letter = (await visit.published()).letter
    async with visit.services.database.connection() as conn:
        note = await witnesses.newest_cosigned(conn, letter.id)
    if note is None:
        raise NotFound("no witness has cosigned a checkpoint")
    return Response(note, headers=FRESH, media_type=TEXT)


async def count(visit: Visit) -> Response:
    """Answer with the count that readers see, and how much of it is not in the log yet."""
    letter = (await visit.published()).letter
    async with visit.services.throttle.read_slot(visit.network), visit.services.database.connection() as conn:
        visible = await reading.shown_count(conn, letter.id)
    if visible is None:
        raise NotFound("the letter has no count")
    return Response(visible.as_json(), headers=UNKEPT, media_type="application/json")


async def take(visit: Visit) -> Response:
    """Take a checkpoint with cosignatures below it, as text."""
    visit.allow_form()
    content = await http.body_of(visit.request, witnesses.MAX_NOTE)
    letter = (await visit.published()).letter
    try:
        async with visit.form_slot(), visit.services.database.transaction() as conn:
            log = await _head(conn, letter.id)
            await witnesses.take(conn, visit.services.wrapper, log, content.decode(errors="replace"))
    except BadCosignature as bad:
        return Response(f"{bad}\n", STATUSES[type(bad)], headers=UNKEPT, media_type=TEXT)
    return Response("taken\n", headers=UNKEPT, media_type=TEXT)


async def _head(conn: Connection, letter_id: LetterId) -> LogHead:
    log = await reading.head(conn, letter_id)
    if log is None:
        raise NotFound("the log has not begun yet")
    return log


async def _log_key(conn: Connection, visit: Visit, log: LogHead) -> NoteKey:
    return (await signing_key.signer(conn, visit.services.wrapper, Checkpoint.parse(log.checkpoint).origin)).key
