"""What shared caches may store says under which key they drop it again: every route."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.addresses import DESK, MOUNTED, filled, patterns
from tests.conftest import fresh_database
from tests.running import SLUG, Installation, free_port, installation, raw

if TYPE_CHECKING:
    from tests.conftest import Conn

LETTER = f"petition letter-{SLUG}"


@pytest.fixture(scope="module")
async def town(
    cluster: str, admin: "Conn", template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    """Give one installation before which there are two caches, which are away."""
    away = f"http://127.0.0.1:{free_port()}"
    caches = {"CACHE_PURGE_URLS": f"{away},{away}/tags?keys=tags", "CACHE_PURGE_TOKEN": "t"}
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(fresh_database(cluster, admin, template))
        yield await stack.enter_async_context(installation(url, tmp_path_factory.mktemp("town"), **caches))


@pytest.mark.parametrize("pattern", [path for path in (*patterns("GET"), *MOUNTED.values()) if DESK not in path])
async def test_what_may_be_stored_has_its_key(town: Installation, pattern: str) -> None:
    path = await filled(pattern, town)
    for _ in range(2):  # rendered, and out of our own cache
        headers = (await town.client.get(path)).headers
        keys = headers.get("surrogate-key")
        assert headers.get("cache-tag") == (keys and keys.replace(" ", ","))
        if not headers.get("cache-control", "no-store").startswith("public") or path.startswith("/static/"):
            assert keys is None
        else:
            assert keys == (LETTER if "{slug}" in pattern else "petition letters")


async def test_both_roads_to_a_cached_page_say_it_once(town: Installation) -> None:
    path = f"/en/{SLUG}"
    await town.client.get(path)
    for target in (path, path.replace("-", "%2d")):
        head, _ = await raw(town, target)
        assert head.count(b"surrogate-key: ") == 1
