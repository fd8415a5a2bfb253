"""What it means when the driver fails: one translation into errors of ours, with cause and cure."""

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from petition.core import metrics, open_files
from petition.core.errors import Locked, NotFound, Taken, Unavailable
from petition.core.log_summaries import LogSummary

log = logging.getLogger(__name__)

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,  # shut down, crashed, not up yet; a statement that took too long
    asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections
    asyncpg.ReadOnlySQLTransactionError,  # a standby, or a server that was made read-only
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.InvalidCatalogNameError,  # no such database
    asyncpg.ObjectNotInPrerequisiteStateError,  # ALLOW_CONNECTIONS is off, for a move or a restore
    asyncpg.InvalidAuthorizationSpecificationError,  # no such role, a wrong password
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)

# A pooler in transaction mode: the statement was prepared in another server than the one that is to run it.
_POOLED = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
DISK_FULL = "the database's disk is full"
SILENT = "the database does not answer"
STATEMENT_MODE = "a pooler in statement mode stands before the database: set its pool_mode to transaction"
POOLER = "a pooler stands before the database: add ?statement_cache_size=0 to DATABASE_URL"


@contextmanager
def lost_connections_are_unavailable() -> Iterator[None]:
    """Translate every sign that the server cannot be reached into ``Unavailable``."""
    try:
        yield
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
        raise Unavailable("the database has not been migrated; run `petition migrate`") from error
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound("what this belongs to has been deleted in the meantime") from error
    except asyncpg.UniqueViolationError as error:
        raise Taken("another row has this already") from error
    except asyncpg.LockNotAvailableError as error:
        _note_trouble("locked")
        raise Locked("another transaction holds a lock", retry_after=1) from error
    except asyncpg.InvalidCachedStatementError as error:  # a migration has just added a column to what it returns
        raise Locked("the schema has just changed", retry_after=1) from error
    except _POOLED as error:
        raise Unavailable(POOLER) from error
    except _LOST as error:
        _note_trouble(_trouble(error))
        raise Unavailable(cause_of(error)) from error


# Each of them is one line a minute, with a count.
refusals = LogSummary(log, "the database did not do its work")
# What is worth a line of its own; that it is away, the poll says.
_TROUBLES: tuple[tuple[type[BaseException], str], ...] = (
    (asyncpg.ReadOnlySQLTransactionError, "read_only"),
    (asyncpg.DiskFullError, "disk_full"),
    (asyncpg.OutOfMemoryError, "out_of_memory"),
    (asyncpg.TooManyConnectionsError, "too_many_connections"),
    (asyncpg.QueryCanceledError, "statement_too_slow"),
    (TimeoutError, "timeout"),
)


def _trouble(error: BaseException) -> str:
    return next((word for kind, word in _TROUBLES if isinstance(error, kind)), "away")


def _note_trouble(word: str) -> None:
    metrics.DATABASE_ERRORS.labels(word).inc()
    if word != "away":
        refusals.note(trouble=word)


def cause_of(error: BaseException) -> str:
    """Return why the database cannot be used, and the cure, in words that quote no row and no password."""
    if open_files.is_out(error):
        return open_files.NONE_LEFT
    for kind, text, cause in _CAUSES:
        if isinstance(error, kind) and text in str(error):
            return cause
    return f"the database cannot be reached ({type(error).__name__})"


# By class, and by words of the message where the class says too little.
_CAUSES: tuple[tuple[type[BaseException], str, str], ...] = (
    (asyncpg.ReadOnlySQLTransactionError, "", "the database is read-only: a standby, or default_transaction_read_only"),
    (asyncpg.DiskFullError, "", DISK_FULL),
    (asyncpg.TooManyConnectionsError, "", "the database takes no more connections: raise max_connections"),
    (asyncpg.QueryCanceledError, "", "the database cancelled a statement: raise its statement_timeout to 15 s or more"),
    (asyncpg.InsufficientPrivilegeError, "", "the user in DATABASE_URL must own the database and what is in it"),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "",
        "the database cannot be reached: user or password in DATABASE_URL is wrong",
    ),
    (asyncpg.InvalidCatalogNameError, "", "the database cannot be reached: the server has none of that name"),
    (
        asyncpg.ObjectNotInPrerequisiteStateError,
        "",
        "the database takes no connections: ALTER DATABASE … ALLOW_CONNECTIONS true",
    ),
    (asyncpg.CannotConnectNowError, "", "the database is starting, stopping or recovering"),
    (TimeoutError, "", SILENT),
    (asyncpg.ProtocolViolationError, "startup parameter", POOLER),
    (asyncpg.ProtocolViolationError, "statement pooling", STATEMENT_MODE),
    (asyncpg.ConnectionDoesNotExistError, "statement pooling", STATEMENT_MODE),
    (
        asyncpg.ClientConfigurationError,
        "root certificate",
        "DATABASE_URL: to verify the server add sslrootcert=FILE, with the certificate that its own was signed with",
    ),
    (
        ssl.SSLCertVerificationError,
        "",
        "the database's certificate is not the one that DATABASE_URL wants: see sslrootcert",
    ),
    (ConnectionError, "rejected SSL", "the database offers no TLS: enable it, or insist by ?plain=1 in DATABASE_URL"),
)
