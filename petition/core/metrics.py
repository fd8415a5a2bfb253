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
LISTENERS = Gauge("petition_listeners", "Open event-stream connections")
DROPPED = Counter("petition_listeners_dropped_total", "Listeners that did not read what they were sent")
RELAY_UP = Gauge("petition_relay_up", "1 if a relay is used and neither paused nor in trouble", ["relay"])
RELAY_MAILS = Gauge("petition_relay_mails", "Mails of the last 24 hours by relay and outcome", ["relay", "outcome"])
MAIL_WAITING = Gauge("petition_mail_waiting", "Mails that wait to be sent", ["kind"])
MAIL_OLDEST = Gauge("petition_mail_oldest_seconds", "Age of the oldest mail that waits, 0 if none does")


def say_what_runs() -> None:
    BUILD.labels(version(), schema_number()).set(1)
