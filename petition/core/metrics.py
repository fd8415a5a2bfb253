"""What Prometheus may know: counts, times, sizes, whether the database is reachable. Nothing about a person.

Several web processes of one parent answer as one, whichever is scraped (``metric_cells``). A ``Gauge`` is read where it
is the same for all: in the database, or in the memory that follows it.
"""

import os
import resource
from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from petition.core.metric_cells import FOLDER, Cells, ProcessFigures
from petition.core.metric_types import Counter, Family, Gauge, Histogram, ProcessGauge, exposed

CELLS = Cells()
FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
MAX_LETTERS = 200  # whose counts are here: those that changed last

BUILD = Gauge("petition_build_info", "1; the labels say what runs", ["version", "schema"])
PROCESSES = ProcessGauge(CELLS, "petition_processes", "Processes that this answer is the sum of")
STARTS = Counter(CELLS, "petition_process_starts_total", "Processes started since the first one")
MEMORY = Gauge("petition_memory_bytes", "Memory of these processes together")
OPEN_FILES = Gauge("petition_open_files", "Open files of the process that has the most")
MAX_OPEN_FILES = Gauge("petition_open_files_limit", "Open files that a process may have")

REQUESTS = Counter(CELLS, "petition_requests_total", "Requests by what was answered", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    CELLS,
    "petition_request_seconds",
    "Time from a request's head to the end of the response",
    ["method", "route"],
    buckets=FAST,
)
PAGES = Counter(
    CELLS, "petition_pages_total", "Pages of the cache: hit, rendered, or stale for want of a database", ["result"]
)
CACHE_PURGES = Counter(
    CELLS, "petition_cache_purges_total", "Requests to shared caches to drop something, by result", ["result"]
)
CACHES_FAILING = ProcessGauge(
    CELLS, "petition_caches_failing", "Shared caches that did not do what they were last asked to", across=max
)
LIMITS = Counter(CELLS, "petition_limits_total", "Requests refused by a limit in memory", ["limit"])
CONNECTIONS = ProcessGauge(CELLS, "petition_connections", "Open connections of clients")
CONNECTIONS_CLOSED = Counter(
    CELLS, "petition_connections_closed_total", "Connections closed for what clients did, by reason", ["reason"]
)
LISTENERS = ProcessGauge(CELLS, "petition_listeners", "Open event-stream connections")
DROPPED = Counter(CELLS, "petition_listeners_dropped_total", "Listeners that did not read what they were sent")

SIGN_REQUESTS = Counter(
    CELLS, "petition_wishes_total", "Requests to sign or to look up a link, by outcome", ["outcome"]
)
CONFIRMATIONS = Counter(CELLS, "petition_confirmations_total", "Confirmations, by result", ["result"])
MAILS_IN = Counter(CELLS, "petition_mails_in_total", "Mails to letters, by what became of them", ["outcome"])
BATCH = Histogram(
    CELLS,
    "petition_batch_size",
    "Requests that shared a commit",
    buckets=(1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0),
)
SIGNATURES = Gauge(
    "petition_signatures",
    f"The public count of a letter, of the {MAX_LETTERS} that changed last",
    ["letter", "kind"],
    max_series=2 * MAX_LETTERS,
)
COUNTED = Gauge("petition_counted", "The public counts of all letters together", ["kind"])
LETTERS = Gauge("petition_letters", "Published letters, by state", ["state"])

DATABASE_UP = ProcessGauge(CELLS, "petition_database_up", "1 if the last poll of the database succeeded", across=min)
DATABASE_ERRORS = Counter(CELLS, "petition_database_errors_total", "Failures of the database, by cause", ["cause"])
REPLICA_UP = Gauge("petition_replica_up", "1 if a replica of DATABASE_READ_URL can be read from", ["replica"])
REPLICA_AGE = Gauge("petition_replica_age_seconds", "How old at most what a replica has is", ["replica"])
READS = Counter(CELLS, "petition_reads_total", "Readings that a replica may answer, by the server that did", ["server"])
READS_REFUSED = Counter(
    CELLS, "petition_replica_refusals_total", "Readings that a replica did not answer, by reason", ["reason"]
)
LOOP_LAG = Histogram(
    CELLS,
    "petition_loop_lag_seconds",
    "How late a web process's event loop was, looked at 20 times a second",
    buckets=FAST,
)
POOL_WAIT = Histogram(
    CELLS, "petition_pool_wait_seconds", "Time until a connection to the database was free", buckets=FAST
)

RELAY_UP = Gauge("petition_relay_up", "1 if a relay is used and neither paused nor in trouble", ["relay"])
RELAY_MAILS = Gauge("petition_relay_mails", "Mails of the last 24 hours by relay and outcome", ["relay", "outcome"])
RELAY_REFUSALS = Gauge(
    "petition_relay_refusals", "Mails not taken in the last 24 hours, by relay and reason", ["relay", "reason"]
)
MAIL_WAITING = Gauge("petition_mail_waiting", "Mails that wait to be sent", ["kind"])
MAIL_PUT_OFF = Gauge("petition_mail_put_off", "Of them, those that a relay did not take when they were tried")
MAIL_OLDEST = Gauge("petition_mail_oldest_seconds", "Age of the oldest mail that waits, 0 if none does")
MAIL_OLDEST_OF_KIND = Gauge(
    "petition_mail_oldest_of_kind_seconds", "Age of the oldest mail of a kind that waits, 0 if none does", ["kind"]
)
BOUNCES = Gauge("petition_bounces", "Mails that came back within 7 days, by kind", ["kind"])

LAST_BACKUP = Gauge("petition_last_backup_timestamp_seconds", "When the last backup or takeout was made")

JOBS_OPEN = Gauge("petition_worker_jobs_open", "Long jobs that a worker has to do or is doing", ["kind"])
STEPS = Counter(CELLS, "petition_worker_steps_total", "Steps of the worker's jobs, by result", ["task", "result"])
LAST_STEP = Gauge("petition_worker_last_step_timestamp_seconds", "When a job last did a step or had none", ["task"])
CHORES = Counter(CELLS, "petition_worker_chores_total", "Scheduled tasks of the worker, by result", ["task", "result"])
LAST_CHORE = Gauge(
    "petition_worker_chore_last_success_timestamp_seconds", "When a scheduled task was last done", ["task"]
)
CHORE_SECONDS = Gauge("petition_worker_chore_seconds", "How long a scheduled task took when it last ran", ["task"])

FAMILIES: Sequence[Family] = [value for value in globals().values() if isinstance(value, Family)]

# Known from the beginning, so that an alert sees the first one.
for _cause in (
    "away",
    "timeout",
    "locked",
    "disk_full",
    "read_only",
    "statement_too_slow",
    "too_many_connections",
    "out_of_memory",
):
    DATABASE_ERRORS.labels(_cause)
for _reason in ("too_many", "slow_head", "slow_body", "not_read"):
    CONNECTIONS_CLOSED.labels(_reason)
for _result in ("hit", "rendered", "stale"):
    PAGES.labels(_result)
for _result in ("done", "failed"):
    CACHE_PURGES.labels(_result)


class _Exposed(Collector):
    def __init__(self, processes: Sequence[ProcessFigures]) -> None:
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        yield from exposed(FAMILIES, self._processes)


def say_what_runs(version: str, schema: int) -> None:
    """Begin to count in a process; with those of the same parent, if there is one."""
    BUILD.clear()
    BUILD.set(1, version, str(schema))
    PROCESSES.set(1)
    if (folder := os.environ.get(FOLDER)) and not CELLS.is_shared:
        CELLS.share(Path(folder))
        STARTS.inc()


def render() -> bytes:
    """Return all figures in Prometheus' text format."""
    processes = CELLS.read_all()
    _read_system([process.pid for process in processes if process.pid is not None])
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Exposed(processes))
    # What the library says about the Python of one process is no answer for several.
    return generate_latest(registry) + (b"" if CELLS.is_shared else generate_latest(REGISTRY))


def _read_system(pids: Sequence[int]) -> None:
    """Read memory and open files of processes, where the system has them as files."""
    memory, files = 0, 0
    for pid in pids:
        folder = Path("/proc") / str(pid)
        try:
            memory += int((folder / "statm").read_text().split()[1]) * resource.getpagesize()
            files = max(files, sum(1 for _ in (folder / "fd").iterdir()))
        except OSError:
            continue
    if memory:
        MEMORY.set(memory)
        OPEN_FILES.set(files)
    MAX_OPEN_FILES.set(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
