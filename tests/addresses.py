"""Every address of the application as a visitor would type it, made from the routes themselves."""

from datetime import timedelta

from starlette.routing import Mount, Route

from petition.core.encryption import Wrapper
from petition.core.ids import PictureId, QuestionId, SignatureId
from petition.core.tokens import Tokens
from petition.count_log import sequencing
from petition.drafts import preview_link_queries
from petition.web.app import ROUTES
from tests.running import KEY, SLUG, Installation

VISIBLE = [each for each in ROUTES if isinstance(each, Route)]
MOUNTED = {"/static": "/static/js/sign.js"}
ENDLESS = "/api/v1/letters/{slug}/events"  # tests/test_live.py listens there
DESK = "/organizer"  # has its own door, and tests of its own
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}


def patterns(method: str) -> list[str]:
    """Return the pattern of every route that takes ``method``, but of the one whose answer has no end."""
    return [each.path for each in VISIBLE if method in (each.methods or ()) and each.path != ENDLESS]


def taken(pattern: str) -> set[str]:
    """Return every method that some route takes at this address."""
    return {method for each in VISIBLE if each.path == pattern for method in each.methods or ()}


async def filled(pattern: str, site: Installation, lang: str = "en") -> str:
    """Return an address of ``pattern`` that leads to something; a pending signature is made for it if need be."""
    values = {"{lang}": lang, "{slug}": SLUG}
    if "{token}" in pattern:
        values["{token}"] = await _token(pattern, site)
    if pattern.startswith("/log/"):
        await _log(site)
        values["{path:path}"] = "0/000.p/1"
    if "{audit}" in pattern:
        values["{audit}"] = await add_audit(site)
    if "{picture}" in pattern:
        values["{picture}"] = str(await _picture(site))
    if "{response}" in pattern:
        values["{response}"] = str(await _response(site))
    if "{entry}" in pattern:
        values |= {"{kind}": "person", "{entry}": str(await _entry(site))}
    for name, value in values.items():
        pattern = pattern.replace(name, value)
    assert "{" not in pattern, "a parameter that this test does not know"
    asked = {"/captcha/challenge": f"?letter={SLUG}", "/oembed": f"?url={site.base}/{lang}/{SLUG}"}
    return pattern + asked.get(pattern, "")


async def _log(site: Installation) -> None:
    """See that the letter's log has an entry."""
    async with site.database.transaction() as conn:
        letter = await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG)
        if await conn.fetchval("SELECT size FROM count_log WHERE letter = $1", letter):
            return
        await conn.execute(
            "INSERT INTO count_log_queue (letter, kind, subject, number, exit) VALUES ($1, 1, 7, 1, 0)", letter
        )
    await sequencing.sequence(site.database, Wrapper([KEY]), site.base, letter, SLUG)
    async with site.database.transaction() as conn:
        await conn.execute(
            "INSERT INTO count_log_stamp (letter, authority, size, checkpoint, response)"
            " VALUES ($1, 'tsa.example', 1, 'x', 'x')",
            letter,
        )
        await conn.execute(
            "INSERT INTO witness (letter, title, verifier_key, size, checkpoint, cosignature, cosigned_at)"
            " VALUES ($1, 'A Partner', 'x', 1, 'x', 'x', now())",
            letter,
        )


async def add_audit(site: Installation) -> str:
    """Return the number of an audit that asks; there is one after the first call."""
    async with site.database.transaction() as conn:
        letter = await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG)
        await conn.execute(
            "INSERT INTO audit (letter, number, state, auditor, sample, source, round, draw_at, announced_at, origin,"
            " log_size, root, frame, frame_digest, recipient, value, drawn, asked_at, ends_at) VALUES ($1, 1,"
            " 'asking', 'Fair Count', 20, 'drand', 7, now(), now(), 'x', 1, 'x', '{0}', 'x',"
            " 'age1' || repeat('q', 58), 'x', '{0}', now(), now() + interval '1 day') ON CONFLICT DO NOTHING",
            letter,
        )
        await conn.execute(
            "INSERT INTO audit_question (letter, id, audit) VALUES ($1, 7, 1) ON CONFLICT DO NOTHING", letter
        )
    return "1"


async def _picture(site: Installation) -> PictureId:
    """Return the id of a picture that the letter is shared with."""
    async with site.database.transaction() as conn:
        letter = await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG)
        await conn.execute(
            "INSERT INTO picture (letter, id, type, content) VALUES ($1, 7, 'image/png', 'x') ON CONFLICT DO NOTHING",
            letter,
        )
        await conn.execute(
            "INSERT INTO sharing (letter, lang, text, alt, picture) VALUES ($1, 'en', '', 'x', 7)"
            " ON CONFLICT DO NOTHING",
            letter,
        )
    return PictureId(7)


async def _response(site: Installation) -> int:
    """Return the id of an addressee's answer that has a document."""
    async with site.database.transaction() as conn:
        known = await conn.fetchval("SELECT id FROM addressee_event WHERE file IS NOT NULL")
        if known is None:
            file = await conn.fetchval(
                "INSERT INTO addressee_file (letter, type, content) SELECT id, 'application/pdf', '%PDF-' FROM letter"
                " WHERE slug = $1 RETURNING id",
                SLUG,
            )
            known = await conn.fetchval(
                "INSERT INTO addressee_event (letter, addressee, state, at, file) SELECT a.letter, a.id, 'answered',"
                " now(), $2 FROM addressee a JOIN letter l ON l.id = a.letter WHERE l.slug = $1 LIMIT 1 RETURNING id",
                SLUG,
                file,
            )
    return int(known)


async def _answer(site: Installation) -> str:
    """Return the token of a link to answer that works."""
    async with site.database.transaction() as conn:
        row = await conn.fetchrow(
            "UPDATE addressee SET link_until = now() + interval '1 day' WHERE id = (SELECT min(id) FROM addressee)"
            " RETURNING letter, id, link"
        )
    assert row is not None
    return Tokens([KEY]).for_answer(row["letter"], row["id"], row["link"], mailed=True)


async def _preview(site: Installation) -> str:
    """Return the token of a preview link that works."""
    async with site.database.transaction() as conn:
        letter = await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG)
        await preview_link_queries.add(conn, 7, letter, False, timedelta(days=1))
    return Tokens([KEY]).for_preview(letter, 7)


async def _entry(site: Installation) -> SignatureId:
    """Return the id of a person in the public list, who is put there if nobody is."""
    async with site.database.connection() as conn:
        known = await conn.fetchval("SELECT id FROM signature WHERE visibility = 'public' AND state = 'confirmed'")
        if known is None:
            known = await conn.fetchval(
                "INSERT INTO signature (letter, id, listed_at, kind, state, visibility, name, name_key)"
                " SELECT id, 1, now(), 'person', 'confirmed', 'public', 'Vera Novak', 'vera novak' FROM letter"
                " WHERE slug = $1 RETURNING id",
                SLUG,
            )
    return SignatureId(known)


async def _token(pattern: str, site: Installation) -> str:
    tokens = Tokens([KEY])
    if "/preview/" in pattern:
        return await _preview(site)
    if "/answer/" in pattern:
        return await _answer(site)
    if "/audit/" in pattern:
        await add_audit(site)
        async with site.database.connection() as conn:
            letter = await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG)
        return tokens.for_audit(letter, QuestionId(7))
    if "/never/" in pattern:
        return tokens.for_never(b"sixteen bytes of")
    async with site.database.connection() as conn:
        row = await conn.fetchrow("SELECT letter, id FROM pending LIMIT 1")
        if row is None:
            assert (await site.sign(email="somebody@letters.example")).status_code == 303
            row = await conn.fetchrow("SELECT letter, id FROM pending LIMIT 1")
    assert row is not None
    if "/unsubscribe/" in pattern:
        return tokens.for_updates(row["letter"], row["id"])
    return tokens.for_signature(row["letter"], row["id"])


def every_route_is_visited() -> bool:
    """Tell whether ``VISIBLE`` and ``MOUNTED`` are all there is."""
    mounts = {each.path for each in ROUTES if isinstance(each, Mount)}
    return len(VISIBLE) + len(mounts) == len(ROUTES) and mounts == {*MOUNTED, DESK}
