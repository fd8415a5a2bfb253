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
from petition.web.listening import MAX_WAIT, NOTICE
from petition.web.processes import STOP_LIMIT
from petition.web.server import DRAIN
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
    sections = unit(f"{name}.service")
    service = sections["Service"]
    for key in ("ExecStart", "ExecStartPre"):
        if key in service:
            assert service[key].split()[1] in COMMANDS
    assert (service["RestartSec"], sections["Unit"]["StartLimitIntervalSec"]) == ("5", "0")
    assert service["CapabilityBoundingSet"] == ""
    assert {"MemoryMax", "LimitNOFILE", "UMask", "NoNewPrivileges"} <= service.keys()


def unit(name: str) -> dict[str, dict[str, str]]:
    """Return a unit's sections; of a key that is there twice, the last value."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(DEPLOY / name, encoding="utf-8")
    return {section: dict(parser[section]) for section in parser.sections()}


def test_the_socket_is_where_the_proxies_look_and_outlives_the_web() -> None:
    listen = unit("petition-web.socket")["Socket"]["ListenStream"]
    assert f"server {listen} " in (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    assert f"reverse_proxy {listen} " in (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    web = unit("petition-web.service")
    assert web["Unit"]["Requires"] == "petition-web.socket"
    assert web["Service"]["Type"] == "notify"
    assert web["Service"]["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert float(web["Service"]["TimeoutStopSec"]) > STOP_LIMIT + MAX_WAIT + NOTICE


def test_proxies_let_go_of_idle_connections_before_we_do() -> None:
    for name, line in (("nginx.conf", r"\bkeepalive_timeout (\d+)s;"), ("Caddyfile", r"\bkeepalive (\d+)s\n")):
        found = re.search(line, (DEPLOY / name).read_text(encoding="utf-8"))
        assert found, name
        assert float(found[1]) < DRAIN


@pytest.fixture(scope="module")
def installed_units(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Give the units with a program that exists."""
    folder = tmp_path_factory.mktemp("units")
    program = folder / "petition"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for file in sorted(DEPLOY.glob("petition-*")):
        text = file.read_text(encoding="utf-8").replace("/opt/petition/bin/petition", str(program))
        (folder / file.name).write_text(text)
    return sorted(folder.glob("petition-*"))


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_systemd_finds_nothing_wrong_with_the_units(installed_units: list[Path]) -> None:
    done = analyze("verify", *installed_units)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["petition-web", "petition-worker"])
def test_the_units_are_closed(installed_units: list[Path], name: str) -> None:
    (file,) = [file for file in installed_units if file.name == f"{name}.service"]
    done = analyze("security", "--offline=true", "--threshold=30", file)  # 3.0
    level = re.search(r"exposure level for \S+: ([0-9.]+) ", done.stdout)
    assert level, done.stderr
    assert done.returncode == 0
    assert float(level[1]) <= 2.0


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
