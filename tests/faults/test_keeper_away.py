"""The keeper killed, or hanging, while people sign: each gets a 303 that is kept, or a 503 with all that was typed."""

import signal
from pathlib import Path

import pytest

from petition.core.database import opened
from petition.core.keeper import KeeperClient, KeeperPurpose
from petition.core.settings import Process, load
from tests import rows
from tests.faults.load import Crowd, signing
from tests.faults.patient import in_time
from tests.faults.processes import BASE_URL, run, web
from tests.keeper import keepers
from tests.rows import rows_of
from tests.running import SLUG, environment, free_port, publish

CALM = 503
STORED = "SELECT digest, count(*) AS n FROM pending GROUP BY digest"


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"])
async def test_signing_waits_for_the_keeper_and_nothing_is_lost_or_doubled(
    database_url: str, tmp_path: Path, way: signal.Signals
) -> None:
    async with keepers.a_folder() as folder, opened(database_url, max_size=2) as database:
        keeper = keepers.RunningKeeper(folder)
        environ = environment(tmp_path, database_url, free_port(), BASE_URL=BASE_URL, **keeper.settings)
        settings = load(environ, role=Process.WEB)
        await publish(settings, database)
        async with keepers.process(keeper) as running:
            code, said = await run("keeper adopt", environ)
            assert (code, said) == (0, "the keeper is used, and 1 letters were switched to it\n")
            async with web(environ, free_port(), tmp_path / "web.log") as process:
                async with database.connection() as conn:
                    letter = await rows.letter(conn)
                crowd = Crowd(process.client, letter)
                async with signing(crowd, at_once=16):
                    await crowd.until_taken(50)
                    running.process.send_signal(way)
                    while len(crowd.refused) < 30:
                        await crowd.sign()
                # While it is away: one form alone is answered within two seconds, and a link confirms.
                answer = await in_time(crowd.sign())
                assert answer.status_code == CALM
                assert crowd.refused[-1][0] in answer.text
                assert "retry-after" in answer.headers
                ready = await in_time(process.client.get("/readyz"))
                assert (ready.status_code, ready.text.startswith("the keeper cannot be reached")) == (CALM, True)
                (waiting,) = await rows_of(database, "SELECT id FROM pending ORDER BY created_at LIMIT 1")
                confirmed = await process.client.post(f"/en/confirm/{rows.token(letter, waiting['id'])}")
                assert confirmed.status_code == 303
                assert (await process.client.get(f"/en/{SLUG}")).status_code == 200
                if way == signal.SIGSTOP:
                    running.process.send_signal(signal.SIGCONT)
                    await _until_taken(crowd)
                else:
                    await running.process.wait()
                    async with keepers.process(keeper):
                        await _until_taken(crowd)
        assert not crowd.broken
        assert {answer.status_code for _, answer in crowd.refused} == {CALM}
        async with keepers.running(keeper), KeeperClient(settings.keeper, database) as client:
            taken = await client.digests(letter.keys, crowd.taken, KeeperPurpose.CHECK)
        stored = {row["digest"]: row["n"] for row in await rows_of(database, STORED)}
        (signed,) = await rows_of(database, "SELECT digest FROM signature")
        stored[signed["digest"]] = 1
        assert set(taken) == set(stored)
        assert set(stored.values()) == {1}


async def _until_taken(crowd: Crowd) -> None:
    """Sign until it works again: the client rests for half a second after a failure."""
    while (await crowd.sign()).status_code != 303:
        pass
