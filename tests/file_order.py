"""In which order test files are begun: the longest first, so that in the end no process of a run waits for one of them.

How long one takes is estimated by what its tests start; only the order of the estimates counts.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# Seconds for each test that asks for a fixture, on an idle machine: the dearest one counts.
FIXTURES = {
    "chromium": 5.0,
    "whole_chromium": 5.0,
    "nodes": 8.0,
    "server": 6.0,
    "site_with_worker": 2.0,
    "site": 0.7,
    "database_url": 0.4,
    "conn": 0.4,
}
PROCESSES = 3.0  # of a test in a module that starts some
SHORT = 0.05
# Files, or folders of them, in which single tests take much longer.
LONG = {
    "upgrades/test_old_processes.py": 120.0,
    "leaks": 60.0,
    "chaos": 90.0,
    "demo": 30.0,
    "deploy": 30.0,
    "test_wheel.py": 60.0,
    "test_procfile.py": 30.0,
    "captcha/test_browser.py": 30.0,
}
STARTERS = {"tests.faults.processes", "tests.mailings.processes", "subprocess"}


def longest_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the tests, file by file, those of the files that take longest first; inside a file nothing is moved."""
    seconds: defaultdict[Path, float] = defaultdict(float)
    for item in items:
        seconds[item.path] += _of_test(item)
    for path in seconds:
        seconds[path] += sum(more for name, more in LONG.items() if path.is_relative_to(HERE / name))
    return sorted(items, key=lambda item: (-seconds[item.path], item.path))


def _of_test(item: pytest.Item) -> float:
    fixtures = [FIXTURES[name] for name in getattr(item, "fixturenames", ()) if name in FIXTURES]
    return max([SHORT, *fixtures, *([PROCESSES] if _starts_processes(item) else [])])


def _starts_processes(item: pytest.Item) -> bool:
    values = vars(item.module).values() if isinstance(item, pytest.Function) else ()
    return any(STARTERS & {getattr(value, "__module__", None), getattr(value, "__name__", None)} for value in values)
