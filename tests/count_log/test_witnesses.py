"""Partners who cosign: registered by an owner, their cosignatures checked with the log, served, shown."""

import time

import pytest

from petition.core import signing_key
from petition.core.errors import Refused
from petition.core.ids import WitnessId
from petition.core.signed_notes import NoteSigner
from petition.count_log import merkle, reading, tiles, verifying, witnesses
from petition.count_log.checkpoints import Checkpoint, open_checkpoint
from petition.count_log.cosignatures import Cosigner, WitnessKey
from petition.count_log.entries import LogEntry
from petition.count_log.witnesses import BadCosignature, OtherLog, UnknownWitness
from petition.moderation import labels
from tests.count_log.conftest import LogBench
from tests.count_log.recounting import BASE_URL, WRAPPER, take_all
from tests.rows import rows_of
from tests.running import SLUG

ORIGIN = f"letters.example.org/log/{SLUG}"
PARTNER = Cosigner("witness.example.org/w1", b"1" * 32)
OTHER = Cosigner("witness.example.net", b"2" * 32)
NOW = 1_700_000_000


async def register(bench: LogBench, *cosigners: Cosigner) -> list[int]:
    """Register partners; return their ids."""
    async with bench.database.transaction() as conn:
        return [
            await witnesses.add(conn, bench.actor.organizer_id, bench.letter.id, f"Partner {number}", str(one.key))
            for number, one in enumerate(cosigners, 1)
        ]


async def take(bench: LogBench, note: str) -> list[str]:
    """Hand back what a witness has signed."""
    async with bench.database.transaction() as conn:
        log = await reading.head(conn, bench.letter.id)
        assert log is not None
        return await witnesses.take(conn, WRAPPER, log, note)


async def grow(bench: LogBench, number: int) -> str:
    """Have so many more sign; return the new checkpoint."""
    await bench.sign(*["Vera"] * number)
    await take_all(bench.database, bench.letter.id)
    return (await bench.log()).checkpoint


async def own_signer(bench: LogBench) -> NoteSigner:
    async with bench.database.connection() as conn:
        return await signing_key.signer(conn, WRAPPER, ORIGIN)


def cosigned(note: str, cosigner: Cosigner, moment: int = NOW) -> str:
    return note + cosigner.sign(note.partition("\n\n")[0] + "\n", moment)


async def test_a_cosignature_is_stored_served_and_shown(logged: LogBench) -> None:
    assert BASE_URL.endswith("letters.example.org")
    note = await grow(logged, 12)
    await register(logged, PARTNER, OTHER)
    assert await take(logged, cosigned(note, PARTNER)) == ["Partner 1"]
    served = (await logged.files())[tiles.CHECKPOINT].decode()
    assert served.startswith(note)
    assert PARTNER.key.signed_at(served) == NOW
    assert OTHER.key.signed_at(served) is None
    open_checkpoint(served, (await own_signer(logged)).key)
    async with logged.database.connection() as conn:
        seen = await witnesses.witnessed(conn, logged.letter.id)
        assert await witnesses.newest_cosigned(conn, logged.letter.id) == served
    assert seen is not None
    assert (seen.size, seen.root) == (12, Checkpoint.parse(note).root)
    (one,) = seen.cosignatures
    assert (one.title, one.key, one.size, one.is_newest) == ("Partner 1", str(PARTNER.key), 12, True)
    assert one.at.timestamp() == NOW


async def test_a_witness_that_is_behind_is_taken_and_the_newest_is_kept(logged: LogBench) -> None:
    first, second = await grow(logged, 300), await grow(logged, 12)
    await register(logged, PARTNER)
    await take(logged, cosigned(first, PARTNER))
    async with logged.database.connection() as conn:
        seen = await witnesses.witnessed(conn, logged.letter.id)
        assert await witnesses.newest_cosigned(conn, logged.letter.id) == cosigned(first, PARTNER)
    assert seen is not None
    assert [(one.size, one.is_newest) for one in seen.cosignatures] == [(300, False)]
    assert (await logged.files())[tiles.CHECKPOINT].decode() == second
    await take(logged, cosigned(second, PARTNER, NOW + 60))
    await take(logged, cosigned(first, PARTNER, NOW + 90))
    await take(logged, cosigned(second, PARTNER, NOW))
    assert (await logged.files())[tiles.CHECKPOINT].decode() == cosigned(second, PARTNER, NOW + 60)


async def test_what_is_no_cosignature_of_this_log_is_refused(logged: LogBench) -> None:
    note, signer = await grow(logged, 12), await own_signer(logged)
    await register(logged, PARTNER)
    text = note.partition("\n\n")[0] + "\n"
    forged = PARTNER.sign(text.replace("\n12\n", "\n13\n"), NOW)
    longer = signer.sign(str(Checkpoint(ORIGIN, 13, b"x" * 32)))
    fork = signer.sign(str(Checkpoint(ORIGIN, 12, merkle.leaf_hash(b"another entry"))))
    elsewhere = signer.sign(str(Checkpoint("letters.example.org/log/another", 12, b"x" * 32)))
    for refused, error in [
        (cosigned(note, OTHER), UnknownWitness),
        (note, UnknownWitness),
        (note + forged, UnknownWitness),
        (cosigned(NoteSigner(ORIGIN, b"x" * 32).sign(text), PARTNER), BadCosignature),
        (cosigned(longer, PARTNER), OtherLog),
        (cosigned(fork, PARTNER), OtherLog),
        (cosigned(elsewhere, PARTNER), BadCosignature),
        (cosigned(note, PARTNER, int(time.time()) + 3600), BadCosignature),
        (cosigned(note, PARTNER, 2**63), BadCosignature),
        ("", BadCosignature),
        (note + "— x\n", BadCosignature),
    ]:
        with pytest.raises(error):
            await take(logged, refused)
    assert (await logged.files())[tiles.CHECKPOINT].decode() == note


async def test_a_witness_is_registered_once_retired_and_restored(logged: LogBench) -> None:
    note = await grow(logged, 12)
    (one,) = await register(logged, PARTNER)
    with pytest.raises(Refused):
        await register(logged, PARTNER)
    for title, key in [("", str(OTHER.key)), ("Partner", "hello"), ("Partner", str((await own_signer(logged)).key))]:
        async with logged.database.transaction() as conn:
            with pytest.raises(Refused):
                await witnesses.add(conn, logged.actor.organizer_id, logged.letter.id, title, key)
    await take(logged, cosigned(note, PARTNER))
    for _ in range(2):
        async with logged.database.transaction() as conn:
            await witnesses.retire(conn, logged.actor.organizer_id, logged.letter.id, WitnessId(one))
    assert (await logged.files())[tiles.CHECKPOINT].decode() == note
    with pytest.raises(UnknownWitness):
        await take(logged, cosigned(note, PARTNER, NOW + 1))
    async with logged.database.transaction() as conn:
        await witnesses.restore(conn, logged.actor.organizer_id, logged.letter.id, WitnessId(one))
    assert (await logged.files())[tiles.CHECKPOINT].decode() == cosigned(note, PARTNER)
    acts = [row["act"] for row in await rows_of(logged.database, "SELECT act FROM log ORDER BY id")]
    mine = [act for act in acts if act.startswith("witness.")]
    assert mine == ["witness.add", "witness.retire", "witness.restore"]
    assert set(mine) <= labels.ACTS.keys()


async def test_a_proof_has_the_cosignatures_that_fit(logged: LogBench) -> None:
    note = await grow(logged, 12)
    crowd = [Cosigner(f"witness-{number}.example.org/with/a/long/name", bytes([number]) * 32) for number in range(20)]
    await register(logged, *crowd)
    for one in crowd:
        await take(logged, cosigned(note, one))
    log = await logged.log()
    async with logged.database.connection() as conn:
        (bundle,) = [content for path, content in (await logged.files()).items() if path.startswith("tile/entries")]
        entry = LogEntry.parse(tiles.split_entries(bundle)[5])
        proof = await reading.prove(conn, log, reading.PlacedEntry(5, entry))
    key = (await own_signer(logged)).key
    assert proof.check(bytes(entry), key).size == 12
    fitting = [one for one in crowd if one.key.signed_at(proof.checkpoint) is not None]
    assert 5 <= len(fitting) < 20
    assert len(bytes(proof)) <= 2048
    read = (await logged.files()).__getitem__
    assert verifying.read_checkpoint(read, key)[0].size == 12
    assert WitnessKey.parse(str(crowd[0].key)) == crowd[0].key
