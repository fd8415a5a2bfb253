"""``make audit`` and ``make sbom``: a known vulnerability is an error, no network a warning, the bill is complete."""

import json
import re
import sys
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tools import audit, sbom

TODAY = date(2026, 11, 30)
WELL = {"name": "idna", "version": "3.20", "vulns": []}
ILL = {
    "name": "jinja2",
    "version": "3.1.5",
    "vulns": [{"id": "PYSEC-2025-1", "aliases": ["GHSA-aaaa-bbbb-cccc"], "fix_versions": ["3.1.6"]}],
}
UNKNOWN = {"name": "uvloop", "skip_reason": "Dependency not found"}


def accepted(name: str, until: date) -> dict[str, object]:
    return {"id": name, "reason": "we never render a stranger's template", "until": until}


def test_a_known_vulnerability_is_an_error_that_names_the_cure() -> None:
    report = audit.judge({"dependencies": [WELL, ILL]}, [], TODAY)
    assert report.errors == ["jinja2 3.1.5: PYSEC-2025-1, mended in 3.1.6"]


@pytest.mark.parametrize("name", ["PYSEC-2025-1", "GHSA-aaaa-bbbb-cccc"])
def test_one_is_accepted_by_either_name_until_its_last_day(name: str) -> None:
    answer = {"dependencies": [ILL]}
    assert audit.judge(answer, [accepted(name, TODAY)], TODAY).errors == []
    assert len(audit.judge(answer, [accepted(name, date(2026, 11, 29))], TODAY).errors) == 1
    assert len(audit.judge(answer, [accepted("PYSEC-2025-2", TODAY)], TODAY).errors) == 1


def test_packages_that_were_not_looked_up_are_no_clean_bill() -> None:
    report = audit.judge({"dependencies": [WELL, UNKNOWN]}, [accepted("PYSEC-2025-1", TODAY)], TODAY)
    assert report.warnings == ["1 of 2 packages could not be looked up"]


def test_what_is_accepted_for_nothing_is_named() -> None:
    report = audit.judge({"dependencies": [WELL]}, [accepted("PYSEC-2025-1", TODAY)], TODAY)
    assert report.warnings == ["PYSEC-2025-1 is accepted until 2026-11-30 and no package has it"]


@pytest.mark.parametrize("line", ['reason = " "', "until = 2026-11-30T00:00:00Z", 'until = "soon"', "id = 5\nmore = 1"])
def test_an_accepted_one_has_a_reason_and_a_day(tmp_path: Path, line: str) -> None:
    lines = {"id": 'id = "PYSEC-2025-1"', "reason": 'reason = "none"', "until": "until = 2026-11-30"}
    lines |= {line.split(" ")[0]: line}
    file = tmp_path / "accepted.toml"
    file.write_text("[[advisory]]\n" + "\n".join(lines.values()))
    with pytest.raises(ValueError, match="each advisory has an id, a reason and a day"):
        audit.read_accepted(file)


def test_ours_can_be_read() -> None:
    audit.read_accepted()


def test_without_a_network_it_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The real auditor, whose every connection is refused."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert audit.main() == 0
    assert capsys.readouterr().out.startswith("warning: ")


class _Advisories(BaseHTTPRequestHandler):
    """Answers as the advisory service does: one package is ill, of the others nothing is known."""

    def do_GET(self) -> None:
        name, version = self.path.split("/")[2:4]
        body: dict[str, object] = {"info": {"name": name, "version": version}, "vulnerabilities": []}
        if name == "idna":
            body["vulnerabilities"] = [{
                "id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "details": "Invented.", "summary": None,
                "fixed_in": ["99.0"], "link": "", "source": "", "withdrawn": None,
            }]  # fmt: skip
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def advisories() -> Iterator[str]:
    """Give the address of an advisory service of our own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Advisories)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_known_vulnerability_fails_the_build(
    advisories: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The real auditor asks a service: what it says about a pin of ours ends in exit 1, and in 0 once accepted."""
    start = (
        "import sys, pip_audit._service.pypi as pypi, pip_audit._cli as cli; get = pypi.requests.Session.get;"
        f"pypi.requests.Session.get = lambda self, url, **more: get(self, {advisories!r} + url[url.index('/pypi/'):],"
        " **more); cli.audit()"
    )
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    pins = tmp_path / "pins.txt"
    pins.write_text("idna==3.11\nbabel==2.18.0\n", encoding="utf-8")
    options = ("--format=json", "--no-deps", "--disable-pip", "--progress-spinner=off", "--timeout=10")
    command = (
        sys.executable,
        "-c",
        start,
        *options,
        "--cache-dir",
        str(tmp_path / "cache"),
        "--requirement",
        str(pins),
    )
    monkeypatch.setattr(audit, "COMMAND", command)
    assert audit.main() == 1
    assert capsys.readouterr().out == "error: idna 3.11: PYSEC-2026-1, mended in 99.0\n"
    accepting = tmp_path / "accepted.toml"
    accepting.write_text('[[advisory]]\nid = "CVE-2026-1"\nreason = "no name of ours"\nuntil = 2099-01-01\n')
    entries = audit.read_accepted(accepting)
    monkeypatch.setattr(audit, "read_accepted", lambda: entries)
    assert audit.main() == 0
    assert capsys.readouterr().out == "no known vulnerabilities\n"


def test_the_bill_is_valid_complete_and_names_no_registry() -> None:
    text = JsonV1Dot6(sbom.bill()).output_as_string()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    pinned = re.findall(r"^([\w.-]+)==", (sbom.ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert sorted(part["name"] for part in bill["components"]) == sorted(pinned)
    assert all(part["hashes"] for part in bill["components"])
    assert bill["metadata"]["component"]["name"] == "petition"
    assert "://" not in text.replace(bill["$schema"], "")


def test_a_pin_without_a_hash_is_refused() -> None:
    with pytest.raises(ValueError, match="idna has no hash"):
        list(sbom.pins("idna==3.20\n    # via email-validator\n"))
