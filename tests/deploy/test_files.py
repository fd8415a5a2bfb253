"""The units, the container files, the rules for alerts and the operator's script name what there is."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from petition.cli.main import _parser
from petition.core.resources import PACKAGE
from petition.core.settings import NAMES, Process, load
from tests.commands import called
from tests.deploy.proxies import DEPLOY
from tests.running import environment
from tests.test_docs import commands

CHECKOUT = PACKAGE.parent
COMMANDS = {command.removeprefix("petition ") for command in commands(_parser())}


def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("name", ["petition-web", "petition-worker"])
def test_units_run_commands_that_exist_and_start_again_without_end(name: str) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DEPLOY / f"{name}.service", encoding="utf-8")
    service = dict(unit["Service"])
    for key in ("ExecStart", "ExecStartPre"):
        if key in service:
            assert service[key].split()[1] in COMMANDS
    assert (service["RestartSec"], unit["Unit"]["StartLimitIntervalSec"]) == ("5", "0")
    assert service["CapabilityBoundingSet"] == ""
    assert {"MemoryMax", "LimitNOFILE", "UMask", "NoNewPrivileges"} <= service.keys()


def test_settings_in_the_comments_exist() -> None:
    for file in DEPLOY.iterdir():
        text = file.read_text(encoding="utf-8")
        names = set(re.findall(r"\b(?!PETITION_)[A-Z]{3,}(?:_[A-Z]+)+\b", text))
        assert names <= NAMES | {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "THAT_PASSWORD"} | {
            "AF_UNIX",
            "AF_INET",
        }, file


def test_compose_runs_commands_with_settings_that_load(tmp_path: Path) -> None:
    services = compose()["services"]
    assert services["worker"]["entrypoint"][2] == "petition migrate && exec petition worker"
    (subnet,) = compose()["networks"]["default"]["ipam"]["config"]
    assert services["web"]["environment"]["TRUSTED_PROXIES"] == subnet["gateway"]
    url = "postgresql://petition:abc@database/petition?plain=1"
    assert url.split("/")[2].split("@")[1] in services
    more = {"TRUSTED_PROXIES": subnet["gateway"], "DATABASE_URL": url}
    assert load(environment(tmp_path, url, 8000) | more, role=Process.WEB).database_url == url


def test_the_image_is_built_from_files_that_exist() -> None:
    lines = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    assert (CHECKOUT / "requirements.txt").exists()
    assert "--require-hashes -r requirements.txt" in lines
    command = re.search(r'^CMD \["(\w+)"', lines, re.MULTILINE)
    assert command is not None
    assert command[1] in COMMANDS


def test_alerts_ask_for_metrics_that_exist() -> None:
    source = (PACKAGE / "core/metrics.py").read_text(encoding="utf-8")
    metrics = set(re.findall(r'"(petition_\w+)"', source))
    rules = yaml.safe_load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    for rule in rules:
        names = set(re.findall(r"petition_\w+", rule["expr"]))
        assert names
        assert names <= metrics
        assert rule["annotations"]["summary"]


def test_the_operator_s_script_reads_both_files_with_quotes(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    keys = called("keys").stdout.splitlines()
    public = [line for line in keys if "PRIVATE" not in line and not line.startswith("#")]
    own = ['CONTROLLER="A society <us@letters.example>"', "BASE_URL=https://letters.example", f"DATA_DIR={tmp_path}"]
    database = ["TRUSTED_PROXIES=127.0.0.1", "DATABASE_URL=postgresql://petition@127.0.0.1:1/petition"]
    (etc / "letters.env").write_text("\n".join([*public, *own, *database, ""]))
    private = next(line for line in keys if line.startswith("CONTACT_PRIVATE_KEY="))
    mail = ["SMTP_URLS=smtp://127.0.0.1:1", 'MAIL_FROM="Letters <post@letters.example>"']
    (etc / "worker.env").write_text("\n".join([private, *mail, ""]))
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "setpriv").write_text('#!/bin/sh\nwhile [ "${1#--}" != "$1" ]; do shift; done\nexec "$@"\n')
    (folder / "petition").write_text(f'#!/bin/sh\nexec {sys.executable} -m petition "$@"\n')
    for file in folder.iterdir():
        file.chmod(0o755)
    sh = shutil.which("sh")
    assert sh is not None
    account = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    more = {"PETITION_ETC": str(etc), "PETITION_ACCOUNT": account, "PETITION_COMMAND": str(folder / "petition")}
    done = subprocess.run(
        [sh, str(DEPLOY / "letters.sh"), "check"],
        env={"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(CHECKOUT), **more},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, ""), done.stdout
    troubles = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert troubles[:3] == ["keeper", "database", "DKIM"]  # what DNS says depends on where this runs
    assert "relay 127.0.0.1" in troubles
