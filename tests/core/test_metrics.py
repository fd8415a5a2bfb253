"""Metrics of several processes: added up, kept when one ends, bounded, and harmless where they cannot be shared."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from petition.core import metric_cells, metric_types, metrics
from petition.core.metric_cells import CAPACITY, SPARE, Cells, Key
from petition.core.metric_types import Counter, Family, Gauge, Histogram, ProcessGauge, exposed


class Sibling:
    """A process: its cells, and one metric of each kind."""

    def __init__(self, folder: Path | None) -> None:
        self.cells = Cells()
        self.requests = Counter(self.cells, "requests_total", "Requests", ["route"])
        self.seconds = Histogram(self.cells, "seconds", "Seconds", buckets=(0.1, 1.0))
        self.open = ProcessGauge(self.cells, "open", "Open")
        self.up = ProcessGauge(self.cells, "up", "Up", across=min)
        self.letters = Gauge("letters", "Letters", ["letter"], max_series=2)
        self.families: list[Family] = [self.requests, self.seconds, self.open, self.up, self.letters]
        if folder is not None:
            self.cells.share(folder)

    def end(self) -> None:
        """Let go of the lock, as the system does for a process that ends."""
        assert self.cells._held is not None
        os.close(self.cells._held)

    def says(self) -> dict[str, float]:
        samples = [sample for metric in exposed(self.families, self.cells.read_all()) for sample in metric.samples]
        return {"".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


def test_whichever_is_asked_answers_for_all(tmp_path: Path) -> None:
    one, other = Sibling(tmp_path), Sibling(tmp_path)
    one.requests.labels("/a").inc(3)
    other.requests.labels("/b").inc()
    other.requests.labels("/a").inc()
    one.seconds.observe(0.1)
    other.seconds.observe(7.0)
    for sibling, number in ((one, 5), (other, 2)):
        sibling.open.set(number)
        sibling.up.set(number)
    assert one.says() == other.says()
    assert one.says() == {
        "requests_total/a": 4,
        "requests_total/b": 1,
        "seconds_bucket0.1": 1,
        "seconds_bucket1.0": 1,
        "seconds_bucket+Inf": 2,
        "seconds_count": 2,
        "seconds_sum": 7.1,
        "open": 7,
        "up": 2,
    }


def test_what_an_ended_process_counted_stays_and_its_gauges_go(tmp_path: Path) -> None:
    one, other = Sibling(tmp_path), Sibling(tmp_path)
    for number, sibling in enumerate((one, other), 1):
        sibling.requests.labels("/a").inc(number)
        sibling.open.set(number)
        sibling.up.set(number)
    one.end()
    assert (other.says()["requests_total/a"], other.says()["open"], other.says()["up"]) == (3, 2, 2)
    third = Sibling(tmp_path)  # it takes the files of the first away
    assert len(list(tmp_path.glob("*.cells"))) == len(list(tmp_path.glob("*.keys"))) == 2
    third.requests.labels("/a").inc(10)
    assert (other.says()["requests_total/a"], third.says()["requests_total/a"]) == (13, 13)
    other.end()
    third.end()
    assert Sibling(tmp_path).says()["requests_total/a"] == 13


def test_a_crash_while_files_are_merged_counts_nothing_twice(tmp_path: Path) -> None:
    one = Sibling(tmp_path)
    one.requests.labels("/a").inc(5)
    one.end()
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    other = Sibling(tmp_path)
    for name, content in files.items():  # they were to be removed
        (tmp_path / name).write_bytes(content)
    assert other.says()["requests_total/a"] == 5
    assert Sibling(tmp_path).says()["requests_total/a"] == 5


def test_a_series_begun_later_is_seen_and_a_cut_line_is_not(tmp_path: Path) -> None:
    one, other = Sibling(tmp_path), Sibling(tmp_path)
    one.requests.labels("/later").inc()
    assert other.says()["requests_total/later"] == 1
    (keys,) = [path for path in tmp_path.glob("*.keys") if "/later" in path.read_text()]
    with keys.open("a") as file:
        file.write('["requests_total", ["/cu')
    assert other.says()["requests_total/later"] == 1


def test_a_folder_that_cannot_be_written_to_leaves_each_process_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alone = Sibling(tmp_path / "missing")
    alone.requests.labels("/a").inc()
    assert alone.says()["requests_total/a"] == 1
    assert "the processes cannot share their metrics" in caplog.text


def test_the_file_has_its_blocks_from_the_beginning(tmp_path: Path) -> None:
    """A hole that is first written to on a full disk would kill the process."""
    Sibling(tmp_path)
    (cells,) = tmp_path.glob("*.cells")
    assert cells.stat().st_blocks * 512 >= cells.stat().st_size == 8 * CAPACITY


def test_labels_and_cells_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_types, "MAX_SERIES", 3)
    sibling = Sibling(None)
    for number in range(10):
        sibling.requests.labels(f"/{number}").inc()
    assert {name: value for name, value in sibling.says().items() if name.startswith("requests")} == {
        "requests_total/0": 1,
        "requests_total/1": 1,
        "requests_total/2": 1,
        "requests_totalother": 7,
    }
    cells = Cells()
    at = [cells.allocate(Key("x", (str(number),), is_total=True), 100) for number in range(CAPACITY)]
    assert at[-1] == CAPACITY - SPARE == max(at)


def test_a_gauge_forgets_what_was_set_the_longest_time_ago() -> None:
    sibling = Sibling(None)
    for letter in "abac":
        sibling.letters.set(1, letter)
    assert {name for name in sibling.says() if name.startswith("letters")} == {"lettersa", "lettersc"}
    sibling.letters.remove("a")
    sibling.letters.remove("never-set")
    assert "lettersa" not in sibling.says()


def test_the_folder_of_a_killed_parent_is_removed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)  # no /dev/shm
    orphan = tmp_path / f"{metric_cells.PREFIX}orphan"
    orphan.mkdir()
    for name in ("parent", "1-a.cells", "1-a.keys"):
        (orphan / name).touch()
    with metric_cells.shared_folder():
        (folder,) = tmp_path.iterdir()
        assert folder != orphan
        assert str(folder) == os.environ[metric_cells.FOLDER]
        assert folder.stat().st_mode & 0o777 == 0o700
        Sibling(folder)
        with metric_cells.shared_folder():  # a second one beside it
            assert len(list(tmp_path.iterdir())) == 2
        assert folder.exists()
    assert list(tmp_path.iterdir()) == []
    assert metric_cells.FOLDER not in os.environ


def test_what_is_exposed_can_be_parsed_and_says_what_each_metric_is() -> None:
    metrics.say_what_runs("1.2", 51)
    metrics.REQUESTS.labels("GET", '/{lang}/"odd"\\', "200").inc()
    parsed = {metric.name: metric for metric in text_string_to_metric_families(metrics.render().decode())}
    for family in metrics.FAMILIES:
        metric = parsed.get(family.name.removesuffix("_total") if family.is_total else family.name)
        if metric is not None:
            assert (metric.type, metric.documentation) == (family.type, family.says)
    assert parsed["petition_memory_bytes"].samples[0].value > 1e7
    assert parsed["petition_requests"].samples[0].labels.keys() == {"method", "route", "status"}
    (histogram,) = [metric for name, metric in parsed.items() if name == "petition_batch_size"]
    assert [sample.name for sample in histogram.samples][-2:] == [
        "petition_batch_size_count",
        "petition_batch_size_sum",
    ]


def test_names_follow_the_conventions() -> None:
    for family in metrics.FAMILIES:
        assert family.name.startswith("petition_")
        assert family.name.endswith("_total") == (family.type == "counter"), family.name
        assert family.says
    assert len({family.name for family in metrics.FAMILIES}) == len(metrics.FAMILIES)
    assert json.dumps(sorted(family.name for family in metrics.FAMILIES))


def test_twenty_thousand_letters_are_few_series() -> None:
    before = len(metrics.render())
    for number in range(20_000):
        metrics.SIGNATURES.set(number, f"letter-{number}", "person")
    text = metrics.render().decode()
    metrics.SIGNATURES.clear()
    assert len(text.encode()) - before < 50_000
    assert text.count("petition_signatures{") == 2 * metrics.MAX_LETTERS
    assert 'letter="letter-19999"' in text
