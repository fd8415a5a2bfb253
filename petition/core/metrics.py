"""What Prometheus may know: how many, how large, whether the database is there. Nothing about anybody.

Each web process counts for itself; several of them behind one address are scraped as several.
"""

from prometheus_client import Counter, Gauge, Histogram

WISHES = Counter("petition_wishes_total", "Requests to sign or to find, by what became of them", ["outcome"])
CONFIRMATIONS = Counter("petition_confirmations_total", "Confirmations, by what became of them", ["result"])
BATCH = Histogram("petition_batch_size", "Requests that shared a commit", buckets=(1, 2, 5, 10, 20, 50, 100, 200))
SIGNATURES = Gauge("petition_signatures", "The public count of a letter", ["letter", "kind"])
DATABASE_UP = Gauge("petition_database_up", "1 if the last look at the database succeeded")
LISTENERS = Gauge("petition_listeners", "Open connections that are told the count")
DROPPED = Counter("petition_listeners_dropped_total", "Listeners who did not read what they were sent")
