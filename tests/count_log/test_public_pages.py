"""The public's view of a log: its files, receipts, the page that looks one up, and proofs that others verify."""

import re
from pathlib import Path

import httpx2
import pytest

from petition.core import signing_key
from petition.core.ids import SignatureId
from petition.core.signed_notes import NoteKey
from petition.count_log import mending, sequencing, tiles, verifying
from petition.count_log.checkpoints import Proof
from petition.count_log.entries import LogEntry
from petition.letters import taking_down
from petition.signatures import self_service
from tests import rows
from tests.count_log import independent
from tests.count_log.conftest import LogBench
from tests.count_log.recounting import WRAPPER
from tests.pages import check_page
from tests.running import SLUG, Installation

RECEIPT = re.compile(r"\b[A-Z2-7]{4}(?:-[A-Z2-7]{2,4}){6}\b")
VERIFY = f"/en/{SLUG}/verify"
LOG = f"/log/{SLUG}"


async def take(site: Installation, logged: LogBench) -> None:
    """Take all that waits into the log, under the site's own address."""
    while await sequencing.sequence(site.database, WRAPPER, site.base, logged.letter.id, SLUG):
        pass


def own(logged: LogBench, signature_id: SignatureId) -> str:
    return f"/en/signature/{rows.token(logged.letter, signature_id)}"


def plain(answer: httpx2.Response) -> str:
    return answer.text.replace("\N{NO-BREAK SPACE}", " ")


def receipt_in(page: str) -> str:
    (receipt,) = set(RECEIPT.findall(page))
    return str(receipt)


async def key_of(site: Installation) -> NoteKey:
    async with site.database.connection() as conn:
        return (await signing_key.signer(conn, WRAPPER, sequencing.origin_of(site.base, SLUG))).key


async def test_the_log_is_served_as_files(site: Installation, logged: LogBench) -> None:
    assert (await site.client.get(f"{LOG}/checkpoint")).status_code == 404
    await logged.sign(*["Vera"] * 3)
    await take(site, logged)
    answers: dict[str, httpx2.Response] = {}
    log = await logged.log()
    for path in [tiles.CHECKPOINT, *map(str, tiles.paths_of(log.size))]:
        answers[path] = await site.client.get(f"{LOG}/{path}")
    assert {answer.status_code for answer in answers.values()} == {200}
    files = {path: answer.content for path, answer in answers.items()}
    assert files == await logged.files()
    checkpoint = answers[tiles.CHECKPOINT]
    assert checkpoint.headers["content-type"] == "text/plain; charset=utf-8"
    assert checkpoint.headers["cache-control"] == "public, max-age=5"
    bundle = answers["tile/entries/000.p/3"]
    assert bundle.headers["content-type"] == "application/octet-stream"
    assert "immutable" in bundle.headers["cache-control"]
    counted = verifying.recount(files.__getitem__, verifying.read_checkpoint(files.__getitem__, await key_of(site))[0])
    assert counted.total == 3
    for path in ("tile/0/000", "tile/0/000.p/4", "tile/0/001.p/1", "tile/8/000", "tile/entries/000", "tile/0/0", "x"):
        assert (await site.client.get(f"{LOG}/{path}")).status_code == 404


async def test_the_receipt_stands_in_the_thanks_and_on_the_own_page(site: Installation, logged: LogBench) -> None:
    async with site.database.transaction() as conn:
        (one,) = await rows.add_pending(conn, logged.letter, ["vera@letters.example"])
    token = rows.token(logged.letter, one)
    thanks = await site.client.get((await site.client.post(f"/en/confirm/{token}")).headers["location"])
    receipt = receipt_in(thanks.text)
    assert "within twenty minutes" in thanks.text
    assert receipt_in((await site.client.get(own(logged, one))).text) == receipt
    await take(site, logged)
    page = (await site.client.get(own(logged, one))).text
    assert receipt_in(page) == receipt
    assert "No. 1 in the public log." in page
    assert (await site.digest())[:16] in page
    data = (await site.client.get(f"{own(logged, one)}/data.json")).json()
    said = {key: data["receipt"][key] for key in ("receipt", "number", "cancelled", "text_digest")}
    assert said == {"receipt": receipt, "number": 1, "cancelled": False, "text_digest": await site.digest()}
    assert data["receipt"]["time"] == data["signed_at"]


async def test_what_waits_or_came_by_a_list_has_no_receipt(site: Installation, logged: LogBench) -> None:
    waiting = await logged.sign_for("North Pier")
    assert not RECEIPT.search((await site.client.get(own(logged, waiting))).text)
    assert "receipt" not in (await site.client.get(f"{own(logged, waiting)}/data.json")).json()


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_the_page_says_whether_a_receipt_counts(site: Installation, logged: LogBench, lang: str) -> None:
    says = {
        "en": (
            "This receipt is not in the log.",
            "Yes. It is in the log, and it counts.",
            "withdrawn by the signatory",
        ),
        "ru": ("Этой квитанции в журнале нет.", "Да. Она в журнале, и подпись учтена.", "отозвана подписавшим"),
    }[lang]
    address = f"/{lang}/{SLUG}/verify"
    (one,) = await logged.sign("Vera")
    receipt = receipt_in((await site.client.get(own(logged, one))).text)
    check_page(await site.client.get(address), 200, lang)
    assert says[0] in plain(await site.client.post(address, data={"receipt": receipt}))
    await take(site, logged)
    spaced = receipt.lower().replace("-", "  ")
    answer = await site.client.post(address, data={"receipt": spaced})
    check_page(answer, 200, lang)
    assert says[1] in plain(answer)
    await self_service.withdraw(site.database, logged.letter, one)
    await take(site, logged)
    page = plain(await site.client.post(address, data={"receipt": receipt}))
    assert says[1] not in page
    assert says[2] in page
    # Whose entry it was, only the receipt says: it works also after the signature is gone.
    await self_service.delete(site.database, logged.letter, one)
    assert says[2] in plain(await site.client.post(address, data={"receipt": receipt}))


@pytest.mark.parametrize("typed", ["", "hello", "A" * 26 + "B", "<script>alert(1)</script>", "A" * 25 + "!"])
async def test_what_is_no_receipt_is_refused(site: Installation, logged: LogBench, typed: str) -> None:
    assert logged.letter.slug == SLUG
    answer = await site.client.post(VERIFY, data={"receipt": typed})
    check_page(answer, 422)
    assert "<script>alert" not in answer.text


async def test_an_independent_library_verifies_the_proof(site: Installation, logged: LogBench, tmp_path: Path) -> None:
    ids = await logged.sign(*["Vera"] * 20)
    receipt = receipt_in((await site.client.get(own(logged, ids[7]))).text)
    await logged.crowd(100_000)
    await take(site, logged)
    await mending.mend(site.database, WRAPPER)
    await take(site, logged)
    answer = await site.client.post(VERIFY, data={"receipt": receipt, "proof": "1"})
    assert answer.headers["content-disposition"].endswith('.tlog-proof"')
    assert len(answer.content) <= 2048
    proof, key = Proof.parse(answer.content), str(await key_of(site))
    file = tmp_path / "own.tlog-proof"
    file.write_bytes(answer.content)
    log = await logged.log()
    expected = f"{proof.index} {log.size} {proof.extra.hex()}"
    assert log.size == 100_020
    assert LogEntry.parse(proof.extra).number == 1
    for verify in (independent.verify, lambda key, path: independent.by_definition(key, path.read_text("utf-8"))):
        assert verify(key, file) == expected
        for forged in (
            answer.content.replace(f"index {proof.index}".encode(), f"index {proof.index ^ 1}".encode()),
            answer.content.replace(b"\n100020\n", b"\n100021\n"),
            bytes(Proof(proof.index, proof.path, proof.checkpoint, proof.extra[:-1] + b"x")),
        ):
            assert forged != answer.content
            broken = tmp_path / "broken.tlog-proof"
            broken.write_bytes(forged)
            assert verify(key, broken) != expected


async def test_nothing_personal_is_in_the_log(site: Installation, logged: LogBench) -> None:
    ids = await logged.sign("Veronika Quittung", affiliation="Lighthouse keeper", city="Port Receipt")
    await take(site, logged)
    content = b"".join((await logged.files()).values())
    for typed in (b"Veronika", b"Lighthouse", b"Port Receipt", b"letters.example\n", str(ids[0]).encode()):
        assert typed not in content.replace(b"127.0.0.1", b"")
    assert ids[0].to_bytes(8, signed=True) not in content


async def test_a_letter_taken_down_has_no_log(site: Installation, logged: LogBench) -> None:
    await logged.sign("Vera")
    await take(site, logged)
    async with site.database.transaction() as conn:
        await taking_down.take_down(conn, None, logged.letter.id, SLUG)
    await site.page_when(f"/en/{SLUG}", lambda page: "410" in page or "taken down" in page)
    for path in (f"{LOG}/checkpoint", f"{LOG}/tile/0/000.p/1", VERIFY):
        assert (await site.client.get(path)).status_code == 410
