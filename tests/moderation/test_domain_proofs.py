"""Evidence that an organization's own domain names the letter, and organizers who vouch by name."""

import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from petition.core.ids import SignatureId
from petition.core.mail_settings import MxResolver
from petition.moderation import organizations
from petition.moderation.domain_proofs import DomainProofs, is_public
from petition.moderation.model import Action
from petition.moderation.organizations import EntryNames
from petition.moderation.proof_model import DomainProof, ProofResult, names_letter
from tests import rows
from tests.mail.dns_server import answering
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.running import SLUG, Installation, installation

HOST = "northpier.example"
LETTER = f"https://letters.example/{SLUG}"
ADDRESSES = [LETTER, f"https://letters.example/en/{SLUG}"]
YES, NO, FAILED = ProofResult.YES, ProofResult.NO, ProofResult.FAILED
FILE = f"/.well-known/petition-{SLUG}.txt"
SIGNALS = "SELECT signals FROM signature WHERE letter = $1 AND id = $2"
ACTS = "SELECT act, after FROM log WHERE letter = $1 AND act LIKE 'organization.%' ORDER BY id"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Give key and certificate of the organization's website."""
    folder = tmp_path_factory.mktemp("website")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST},DNS:www.{HOST}", "-days", "2"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return key, cert


@asynccontextmanager
async def website(certificate: tuple[Path, Path], files: Mapping[str, str]) -> AsyncIterator[int]:
    """Serve files (by host and path) by HTTPS on loopback; give the port."""
    key, cert = certificate
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)

    async def answer(request: web.Request) -> web.Response:
        text = files.get((request.url.host or "") + request.path)
        if text is not None and text.startswith("to "):
            raise web.HTTPFound(text.removeprefix("to "))
        return web.Response(text=text) if text is not None else web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate[1]))


TO_LOOPBACK = {(HOST, "A"): ["127.0.0.1"], (f"www.{HOST}", "A"): ["127.0.0.1"]}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({HOST + FILE: f"We have signed {LETTER}\n"}, YES),
        ({f"www.{HOST}{FILE}": f"https://letters.example/en/{SLUG}/"}, YES),
        ({HOST + FILE: f"https://letters.example/{SLUG}-not"}, NO),
        ({HOST + FILE: "x" * 9000 + f" {LETTER}"}, NO),  # behind the part that is read
        ({HOST + FILE: "to /elsewhere", f"{HOST}/elsewhere": LETTER}, NO),  # no redirect is followed
        ({}, NO),
    ],
)
async def test_a_file_of_the_website(certificate: tuple[Path, Path], files: dict[str, str], expected: str) -> None:
    async with answering(TO_LOOPBACK) as names, website(certificate, files) as port:
        proofs = DomainProofs(MxResolver("127.0.0.1", names.port), lambda _: True, port=port, tls=trusting(certificate))
        assert await proofs.look_up(HOST, SLUG, ADDRESSES) == DomainProof(NO, ProofResult(expected))


async def test_a_website_inside_our_network_or_with_another_certificate_is_not_asked(
    certificate: tuple[Path, Path],
) -> None:
    async with answering(TO_LOOPBACK) as names, website(certificate, {HOST + FILE: LETTER}) as port:
        setting = MxResolver("127.0.0.1", names.port)
        inside = DomainProofs(setting, port=port, tls=trusting(certificate))
        assert (await inside.look_up(HOST, SLUG, ADDRESSES)).well_known is FAILED
        untrusted = DomainProofs(setting, lambda _: True, port=port)
        assert (await untrusted.look_up(HOST, SLUG, ADDRESSES)).well_known is FAILED
        literal = DomainProofs(setting, port=port, tls=trusting(certificate))
        assert (await literal.look_up("127.0.0.1", SLUG, ADDRESSES)).well_known is FAILED


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ({(f"_petition.{HOST}", "TXT"): [f'"{LETTER}"']}, YES),
        ({(f"_petition.{HOST}", "TXT"): ['"v=1"', f'"signed=https://letters.example/" "{SLUG}"']}, YES),
        ({(f"_petition.{HOST}", "TXT"): ['"https://other.example/x"']}, NO),
        ({(HOST, "TXT"): [f'"{LETTER}"']}, NO),
        ({(f"_petition.{HOST}", "TXT"): "SERVFAIL"}, FAILED),
    ],
)
async def test_a_record_of_the_domain(
    records: dict[tuple[str, str], list[str] | str | None], expected: ProofResult
) -> None:
    async with answering(records) as names:
        proofs = DomainProofs(MxResolver("127.0.0.1", names.port))
        assert (await proofs.look_up(HOST, SLUG, ADDRESSES)).dns is expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("fd00::1", False),
        ("fe80::1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:a00:1::", False),
        ("64:ff9b::a00:1", False),
        ("224.0.0.1", False),
        ("192.88.99.1", False),
        ("64:ff9b:1::a00:1", False),  # a translator of the network's own (RFC 8215)
        ("::10.0.0.1", False),
        ("::5efe:a00:1", False),
        ("fec0::1", False),
        ("3fff::1", False),
        ("5f00::1", False),
        ("ff0e::1", False),
        ("2002:e000:1::", False),
        ("64:ff9b::5db8:d70e", True),
        ("93.184.215.14", True),
        ("2606:4700::1111", True),
    ],
)
def test_only_addresses_of_the_public_internet_are_asked(address: str, expected: bool) -> None:
    assert is_public(address) is expected


def test_an_address_is_a_whole_word() -> None:
    assert names_letter(f"signed={LETTER};", ADDRESSES)
    assert not names_letter(f"x{LETTER}", ADDRESSES)
    assert not names_letter(f"{LETTER}2", ADDRESSES)


async def signals(bench: Bench, signature_id: SignatureId) -> dict[str, object]:
    ((row),) = await bench.rows(SIGNALS, signature_id)
    return dict(row["signals"] or {})


async def test_an_organizer_has_the_domain_looked_at(database_url: str, tmp_path: Path, with_letter: None) -> None:
    async with answering({(f"_petition.{HOST}", "TXT"): ['"nothing"']}) as names:
        resolver = {"MX_RESOLVER": f"127.0.0.1:{names.port}"}
        async with installation(database_url, tmp_path, **resolver) as site:
            async with site.database.connection() as conn:
                bench = Bench(site.database, await rows.letter(conn))
            held = await bench.sign_for("North Pier", website=f"https://www.{HOST}/about")
            page = f"/organizer/{SLUG}/signatures/{held}"
            async with people.at_desk(site, "moderator", email="mo@desk.example") as client:
                text = (await client.get(page)).text
                assert f"_petition.{HOST} TXT" in text
                assert f"https://{HOST}{FILE}" in text
                assert (await client.post(page, data={"act": "domain"})).status_code == 303
                assert "dns" not in await signals(bench, held)
                names.records[f"_petition.{HOST}", "TXT"] = [f'"{site.base}/{SLUG}"']
                assert (await client.post(page, data={"act": "domain"})).status_code == 303
                assert len(str((await signals(bench, held))["dns"])) == len("2026-11-30")
                assert "The domain names this letter: DNS record" in (await client.get(page)).text
                names.records[f"_petition.{HOST}", "TXT"] = "SERVFAIL"
                refused = await client.post(page, data={"act": "domain"})
                assert (refused.status_code, "Try again later" in refused.text) == (422, True)
                assert "dns" in await signals(bench, held)
            await bench.decide(Action.APPROVE, held)
            await site.client.get(f"/en/{SLUG}/signed", headers=site.new_network())
            body = (await site.client.get(f"/api/v1/letters/{SLUG}/how-we-count")).json()
            assert body["evidence"]["dns"] == 1
            acts = [(row["act"], row["after"]) for row in await bench.rows(ACTS)]
            assert acts == [("organization.domain", "none"), ("organization.domain", "dns")]


async def test_where_domains_are_not_looked_up_the_page_says_so(site: Installation, bench: Bench) -> None:
    held = await bench.sign_for("North Pier", website=f"https://{HOST}")
    page = f"/organizer/{SLUG}/signatures/{held}"
    async with people.at_desk(site, "moderator", email="mo@desk.example") as client:
        assert "This site looks up no domains" in (await client.get(page)).text
        assert (await client.post(page, data={"act": "domain"})).status_code == 422


async def test_an_organizer_vouches_by_name_and_takes_it_back(site: Installation, bench: Bench) -> None:
    held = await bench.sign_for("North Pier")
    await bench.decide(Action.APPROVE, held)
    page, public = f"/organizer/{SLUG}/signatures/{held}", f"/en/{SLUG}/how-we-count"
    async with people.at_desk(site, "moderator", email="mo@desk.example") as client:
        for form in ({"vouch_name": "Maria Orlova"}, {"vouch_consent": "yes"}):
            assert (await client.post(page, data={"act": "vouch", **form})).status_code == 422
        form = {"act": "vouch", "vouch_name": "Maria Orlova, League", "vouch_consent": "yes"}
        assert (await client.post(page, data=form)).status_code == 303
        assert "Maria Orlova, League" in (await client.get(page)).text
        await site.page_when(public, lambda text: "Vouched for by Maria Orlova, League" in text)
        assert (await client.post(page, data={"act": "unvouch"})).status_code == 303
        assert (await client.post(page, data={"act": "unvouch"})).status_code == 303
    await site.page_when(public, lambda text: "Maria Orlova" not in text)
    acts = [row["act"] for row in await bench.rows(ACTS)]
    assert acts == ["organization.vouch", "organization.no_vouch"]


async def test_what_a_domain_said_goes_with_the_website_and_returns_with_it(bench: Bench) -> None:
    held = await bench.sign_for("North Pier", website=f"https://{HOST}")
    await bench.decide(Action.APPROVE, held)
    ((row),) = await bench.rows("SELECT organization FROM signature WHERE letter = $1")
    async with bench.database.transaction() as conn:
        await conn.execute("""UPDATE signature SET signals = '{"dns": "2026-11-30", "second": true}'""")
    for website, has in (("https://other.example", False), (f"https://{HOST}/x", True), (None, False)):
        async with bench.database.transaction() as conn:
            names = EntryNames("North Pier", None, website)
            await organizations.correct(conn, bench.actor, bench.letter.keys, row["organization"], names)
        assert ("dns" in await signals(bench, held)) is has
        assert ("second" in await signals(bench, held)) is has


async def test_evidence_is_about_the_website_of_the_entry(bench: Bench) -> None:
    """A representative of another website who signs for a known organization lends it no proof."""
    own = await bench.sign_for("North Pier", website=f"https://{HOST}")
    await bench.decide(Action.APPROVE, own)
    other = await bench.sign_for("North Pier", website="https://letters.example")  # its mailbox is there
    async with bench.database.transaction() as conn:
        await conn.execute("""UPDATE signature SET signals = '{"own_domain": true}' WHERE id = $1""", other)
    outcome = await bench.decide(Action.APPROVE, other)
    assert "own_domain" not in await signals(bench, other)
    await bench.undo(outcome.log_id)
    assert await bench.states(other) == ["held"]
    assert "own_domain" in await signals(bench, other)
