"""A mirror has the whole log: it can be checked where the site cannot be reached."""

from pathlib import Path

import pytest

from petition.count_log import sequencing, tiles, verifying, witnesses
from petition.count_log.cosignatures import Cosigner
from tests import commands
from tests.count_log.conftest import LogBench
from tests.count_log.recounting import WRAPPER
from tests.count_log.test_public_pages import key_of, take
from tests.running import SLUG, Installation


async def test_a_mirror_has_the_log(site: Installation, logged: LogBench, tmp_path: Path) -> None:
    await sequencing.step(site.database, WRAPPER, site.base)
    await logged.sign(*["Vera"] * 12)
    await take(site, logged)
    folder = tmp_path / "copy"
    code, said = await commands.run(f"mirror {SLUG} {folder}", site.environ)
    assert code == 0, said

    def read(path: str) -> bytes:
        return (folder / "log" / path).read_bytes()

    checkpoint, _ = verifying.read_checkpoint(read, await key_of(site))
    assert verifying.recount(read, checkpoint).people == 12
    mirrored = {file.relative_to(folder / "log").as_posix() for file in (folder / "log").rglob("*") if file.is_file()}
    assert mirrored == {tiles.CHECKPOINT, "key", "count", "witnesses", *map(str, tiles.paths_of(12))}
    code, said = await commands.run(f"mirror --verify {folder}", site.environ)
    assert (code, "count log: 12 entries make 12" in said) == (0, True), said


async def test_verifying_says_who_cosigned_and_when(site: Installation, logged: LogBench, tmp_path: Path) -> None:
    await sequencing.step(site.database, WRAPPER, site.base)
    await logged.sign(*["Vera"] * 12)
    await take(site, logged)
    partner = Cosigner("witness.example.org", b"1" * 32)
    note = (await logged.log()).checkpoint
    async with site.database.transaction() as conn:
        await witnesses.add(conn, None, logged.letter.id, "Harbour Watch", str(partner.key))
        line = partner.sign(note.partition("\n\n")[0] + "\n", 1_700_000_000)
        await witnesses.take(conn, WRAPPER, await logged.log(), note + line)
    await logged.sign("Boris")
    folder = tmp_path / "copy"
    assert (await commands.run(f"mirror {SLUG} {folder}", site.environ))[0] == 0
    assert (folder / "log" / "cosigned").read_text() == note + line == (folder / "log" / "checkpoint").read_text()
    code, said = await commands.run(f"mirror --verify {folder}", site.environ)
    assert (code, "count of " in said) == (0, True), said
    assert "cosigned by Harbour Watch (witness.example.org), 2023-11-14 22:13:20 UTC: 12 entries" in said


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE count SET people = people - 1 WHERE letter = $1", "the published count has 11 people, the log has 12"),
        (
            "UPDATE count_log_bundle SET entries = substr(entries, 37) WHERE letter = $1",
            "tile/entries/000.p/12 has 11 entries instead of 12",
        ),
        (
            "UPDATE count_log_bundle SET entries = set_byte(entries, 20, 7) WHERE letter = $1",
            "the entries are not those of the checkpoint",
        ),
        (
            "UPDATE count_log SET checkpoint = replace(checkpoint, E'\\n12\\n', E'\\n11\\n') WHERE letter = $1",
            "the checkpoint is not valid",
        ),
    ],
)
async def test_verifying_says_that_the_log_is_not_right(
    site: Installation, logged: LogBench, tmp_path: Path, statement: str, words: str
) -> None:
    """The manifest is signed by the same installation: what it signed, and what it counts, must agree all the same."""
    await sequencing.step(site.database, WRAPPER, site.base)
    await logged.sign(*["Vera"] * 12)
    await take(site, logged)
    await logged.change(statement)
    folder = tmp_path / "copy"
    assert (await commands.run(f"mirror {SLUG} {folder}", site.environ))[0] == 0
    code, said = await commands.run(f"mirror --verify {folder}", site.environ)
    assert (code, words in said) == (1, True), said
