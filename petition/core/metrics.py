"""What Prometheus may know: counts, sizes, whether the database is reachable. Nothing about a person.

Each web process counts for itself; several of them behind one address are scraped as several.
"""

from prometheus_client import Counter, Gauge, Histogram

from petition.core.database import schema_number
from petition.core.version import version

BUILD = Gauge("petition_build_info", "1; the labels say what runs", ["version", "schema"])
SIGN_REQUESTS = Counter("petition_wishes_total", "Requests to sign or to look up a link, by outcome", ["outcome"])
CONFIRMATIONS = Counter("petition_confirmations_total", "Confirmations, by result", ["result"])
MAILS_IN = Counter("petition_mails_in_total", "Mails to letters, by what became of them", ["outcome"])
BATCH = Histogram("petition_batch_size", "Requests that shared a commit", buckets=(1, 2, 5, 10, 20, 50, 100, 200))
SIGNATURES = Gauge("petition_signatures", "The public count of a letter", ["letter", "kind"])
DATABASE_UP = Gauge("petition_database_up", "1 if the last poll of the database succeeded")
REPLICA_UP = Gauge("petition_replica_up", "1 if a replica of DATABASE_READ_URL can be read from", ["replica"])
REPLICA_AGE = Gauge("petition_replica_age_seconds", "How old at most what a replica has is", ["replica"])
READS = Counter("petition_reads_total", "Readings that a replica may answer, by the server that did", ["server"])
READS_REFUSED = Counter("petition_replica_refusals_total", "Readings that a replica did not answer", ["reason"])
LISTENERS = Gauge("petition_listeners", "Open event-stream connections")
DROPPED = Counter("petition_listeners_dropped_total", "Listeners that did not read what they were sent")
RELAY_UP = Gauge("petition_relay_up", "1 if a relay is used and neither paused nor in trouble", ["relay"])
RELAY_MAILS = Gauge("petition_relay_mails", "Mails of the last 24 hours by relay and outcome", ["relay", "outcome"])
MAIL_WAITING = Gauge("petition_mail_waiting", "Mails that wait to be sent", ["kind"])
MAIL_OLDEST = Gauge("petition_mail_oldest_seconds", "Age of the oldest mail that waits, 0 if none does")

BOUNCES = Gauge("petition_bounces", "Mails that came back within 7 days, by kind", ["kind"])
JOBS_OPEN = Gauge("petition_worker_jobs_open", "Long jobs that a worker has to do or is doing", ["kind"])
STEPS = Counter("petition_worker_steps_total", "Steps of the worker's jobs, by result", ["task", "result"])
LAST_STEP = Gauge("petition_worker_last_step_timestamp_seconds", "When a job last did a step or had none", ["task"])
CHORES = Counter("petition_worker_chores_total", "Scheduled tasks of the worker, by result", ["task", "result"])


def say_what_runs() -> None:
    BUILD.labels(version(), schema_number()).set(1)
