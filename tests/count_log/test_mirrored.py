"""A mirror has the whole log: it can be checked where the site cannot be reached."""

from pathlib import Path

from petition.count_log import sequencing, tiles, verifying
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
    assert mirrored == {tiles.CHECKPOINT, *map(str, tiles.paths_of(12))}
    code, said = await commands.run(f"mirror --verify {folder}", site.environ)
    assert code == 0, said
