"""What it costs to count a request, by processor time, in cells that processes share; and how large a scrape is."""

import tempfile
import time
from pathlib import Path

from petition.core import metrics
from petition.web.app import ROUTES
from petition.web.request_counts import RequestCounts

TIMES = 200_000
LETTERS = 20_000


def measure() -> tuple[float, float]:
    """Return (µs of one cached page that is counted, KB of a scrape of 20,000 letters)."""
    with tempfile.TemporaryDirectory() as folder:
        metrics.CELLS.share(Path(folder))
        counts = RequestCounts(ROUTES)
        page = counts.of_address("GET", "/en/")
        started = time.process_time()
        for _ in range(TIMES):
            counts.count_hit(page, 200, 0.001)
        seconds = time.process_time() - started
        for number in range(LETTERS):
            metrics.SIGNATURES.set(number, f"letter-{number}", "person")
        return seconds / TIMES * 1e6, len(metrics.render()) / 1024
