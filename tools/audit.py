"""Look the pinned packages up in the public advisories: ``make audit``, also in ``make lint``.

A known vulnerability is an error, unless ``tools/accepted-advisories.toml`` accepts it with a reason and a last day.
Where the advisories cannot be had, wholly or for some packages, that is a warning: it says nothing about anyone's code.
"""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ACCEPTED = Path(__file__).with_name("accepted-advisories.toml")
TIMEOUT = 60  # seconds for all of it; each request has the auditor's own limit
COMMAND = (
    *(sys.executable, "-m", "pip_audit", "--format=json", "--no-deps", "--disable-pip", "--progress-spinner=off"),
    *("--timeout=10", "--requirement", "requirements-dev.txt"),
)


@dataclass(frozen=True, slots=True)
class Report:
    """What to print: errors fail the build."""

    errors: list[str]
    warnings: list[str]


def judge(answer: Mapping[str, Any], accepted: Iterable[Mapping[str, Any]], today: date) -> Report:
    """Return what the auditor's ``answer`` means, with each advisory that is accepted until a day from ``today`` on."""
    valid = {entry["id"] for entry in accepted if entry["until"] >= today}
    errors, used, skipped = [], set[str](), 0
    for package in answer["dependencies"]:
        skipped += "skip_reason" in package
        for advisory in package.get("vulns", []):
            names = {advisory["id"], *advisory.get("aliases", [])}
            used |= names
            if not names & valid:
                fixed = ", ".join(advisory.get("fix_versions", [])) or "no version yet"
                errors.append(f"{package['name']} {package['version']}: {advisory['id']}, mended in {fixed}")
    warnings = [f"{skipped} of {len(answer['dependencies'])} packages could not be looked up"] if skipped else []
    complete = not skipped
    warnings += [
        f"{entry['id']} is accepted until {entry['until']} and no package has it"
        for entry in accepted
        if complete and entry["id"] not in used
    ]
    return Report(errors, warnings)


def read_accepted(path: Path = ACCEPTED) -> list[dict[str, Any]]:
    """Return the accepted advisories. Raises ``ValueError`` for one without id, reason or day."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("advisory", [])
    for entry in entries:
        if set(entry) != {"id", "reason", "until"} or not entry["reason"].strip() or type(entry["until"]) is not date:
            raise ValueError(f"{path.name}: each advisory has an id, a reason and a day in `until`")
    return list(entries)


def look_up() -> Mapping[str, Any] | None:
    """Return the auditor's answer, or ``None`` if there is none to be had."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PIP_AUDIT_")}
    try:
        done = subprocess.run(  # noqa: S603 - our words
            COMMAND, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return None
    return answer if isinstance(answer, dict) and answer.get("dependencies") else None


def main() -> int:
    accepted = read_accepted()
    answer = look_up()
    if answer is None:
        print("warning: the advisories cannot be reached; no package was looked up")
        return 0
    report = judge(answer, accepted, datetime.now(UTC).date())
    for line in report.warnings:
        print(f"warning: {line}")
    for line in report.errors:
        print(f"error: {line}")
    if not report.warnings and not report.errors:
        print("no known vulnerabilities")
    return 1 if report.errors else 0


if __name__ == "__main__":
    sys.exit(main())
