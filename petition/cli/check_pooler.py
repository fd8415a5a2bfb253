"""What ``petition check`` says of a pooler: whether one stands before the database, in which mode, what that needs."""

import asyncio
import enum
from collections.abc import AsyncIterator, Callable

from petition.core.database import connect, opened
from petition.core.database_failures import lost_connections_are_unavailable
from petition.core.service_urls import parse_database

ROUNDS = 8  # a busy pool may have lent the connection that would tell
PATIENCE = 5.0  # seconds
BACKEND = "SELECT pg_backend_pid()"
HAS_JIT = "SELECT current_setting('jit')::boolean"
JIT = "jit is on, and a pooler does not let us turn it off: ALTER DATABASE … SET jit = off"
MISSING = (
    "a pooler in transaction mode stands before it: add ?statement_cache_size=0 to DATABASE_URL, also where it knows"
    " prepared statements (PgBouncer 1.21 and newer)"
)
TOO_FEW = "a pooler stands before it that lends no two connections within five seconds; raise its default_pool_size"
NEEDLESS = "{} before it: without statement_cache_size=0 each statement would be prepared once, not every time"


class Mode(enum.Enum):
    """For how long a pooler lends a connection. (In statement mode nothing runs: it has no transactions.)"""

    SESSION = "session"
    TRANSACTION = "transaction"


async def findings(url: str, note: Callable[[str], None]) -> AsyncIterator[str]:
    """Yield what is wrong with the way through a pooler; ``note`` gets how it leads. Raises ``Unavailable``."""
    is_expected = parse_database(url).is_pooled
    try:
        async with asyncio.timeout(PATIENCE):
            await _see_transactions(url)
            mode = await find_mode(url)
    except TimeoutError:
        yield TOO_FEW
        return
    if mode is not None:
        note(f"through a pooler in {mode.value} mode")
    if mode is Mode.TRANSACTION and not is_expected:
        yield MISSING
    if mode is not Mode.TRANSACTION and is_expected:
        note(NEEDLESS.format("no pooler stands" if mode is None else "a pooler in session mode stands"))
    if is_expected and await _has_jit(url):
        yield JIT
    if mode is Mode.SESSION and not is_expected:
        await _connect_as_web(url)


async def _see_transactions(url: str) -> None:
    """Begin and end a transaction; a pooler in statement mode ends the connection. Raises ``Unavailable``."""
    with lost_connections_are_unavailable():
        conn = await connect(url)
        try:
            await conn.execute("BEGIN")
            await conn.execute("ROLLBACK")
        finally:
            conn.terminate()


async def find_mode(url: str) -> Mode | None:
    """Return the mode of the pooler before a server; None if there is none. Raises ``Unavailable``.

    A pooler gives its clients keys of its own for cancelling statements, so the process that the connection names is
    not the one that answers. In transaction mode two clients meet the same process, or one of them several.
    """
    with lost_connections_are_unavailable():
        first = await connect(url)
        try:
            pids, others = {await first.fetchval(BACKEND)}, set[int]()
            if pids == {first.get_server_pid()}:
                return None
            second = await connect(url)
            try:
                for _ in range(ROUNDS):
                    others.add(await second.fetchval(BACKEND))
                    pids.add(await first.fetchval(BACKEND))
            finally:
                second.terminate()
        finally:
            first.terminate()
    return Mode.SESSION if len(pids) == len(others) == 1 and pids != others else Mode.TRANSACTION


async def _has_jit(url: str) -> bool:
    with lost_connections_are_unavailable():
        conn = await connect(url)
        try:
            return bool(await conn.fetchval(HAS_JIT))
        finally:
            conn.terminate()


async def _connect_as_web(url: str) -> None:
    """Send a web process's settings of a session. Raises ``Unavailable`` where a pooler refuses them."""
    async with opened(url, max_size=1, patience=PATIENCE, writes=False) as database, database.connection():
        pass
