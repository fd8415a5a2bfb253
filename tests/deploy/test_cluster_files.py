"""What the files for several database machines promise: their programs read them, and they agree with each other."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import machine_files
from tests.deploy.proxies import DEPLOY, program


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def test_a_primary_that_is_gone_is_replaced_in_time() -> None:
    dcs = read("patroni.yaml")["bootstrap"]["dcs"]
    assert dcs["loop_wait"] + 2 * dcs["retry_timeout"] <= dcs["ttl"] <= 10
    assert dcs["synchronous_mode"] is True


def test_the_leader_s_key_is_compared_before_it_is_written() -> None:
    patroni = read("patroni.yaml")
    assert "etcd" in patroni
    assert "etcd3" not in patroni
    assert read("etcd.yaml")["enable-v2"] is True


def test_all_name_the_same_machines() -> None:
    hosts = {host.partition(":")[0] for host in read("patroni.yaml")["etcd"]["hosts"].split(",")}
    peers = {peer.rpartition("/")[2].partition(":")[0] for peer in read("etcd.yaml")["initial-cluster"].split(",")}
    lines = (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8").splitlines()
    servers = {line.split()[2].partition(":")[0] for line in lines if line.strip().startswith("server db")}
    assert hosts == peers == servers
    assert len(hosts) == 3


@pytest.mark.parametrize("node", machine_files.NODES)
def test_the_drill_changes_names_and_paths_only(node: str, tmp_path: Path) -> None:
    shipped, drilled = read("patroni.yaml"), yaml.safe_load(machine_files.patroni(node, tmp_path, is_synchronous=True))
    assert drilled["bootstrap"] == shipped["bootstrap"]
    assert drilled["etcd"] == shipped["etcd"]
    assert set(drilled["postgresql"]) - set(shipped["postgresql"]) == {"parameters"}


def test_varnish_takes_several_web_machines(open_folder: Path) -> None:
    (open_folder / "petition.vcl").write_text(machine_files.varnish(["10.90.0.41:8000", "10.90.0.42:8001"]))
    command = [program("varnishd"), "-C", "-n", str(open_folder), "-f", str(open_folder / "petition.vcl")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "10.90.0.42" in done.stderr + done.stdout


def test_postgresql_s_log_holds_no_rows() -> None:
    parameters = read("patroni.yaml")["bootstrap"]["dcs"]["postgresql"]["parameters"]
    assert parameters["log_min_error_statement"] == "panic"
    assert parameters["log_statement"] == "none"


def test_a_drill_that_is_not_root_says_so_and_does_nothing() -> None:
    as_another = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    command = [*as_another, sys.executable, "-m", "tests.cluster"]
    environ = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=DEPLOY.parent, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "which takes root" in done.stderr
