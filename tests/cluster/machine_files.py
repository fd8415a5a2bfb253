"""The files of deploy/ as they stand, but for names, addresses, paths and passwords: what the handbook says is run."""

from pathlib import Path
from typing import Any

import yaml

from tests.cluster.network import address
from tests.deploy.caches import vcl
from tests.deploy.proxies import DEPLOY, nginx_site, replace_text, whole_nginx

NODES = ("db1", "db2", "db3")
PASSWORD = "a-password-of-the-drill"
HOST = "letters.test"


def etcd(node: str, folder: Path) -> str:
    """Return etcd's file for ``node``."""
    content: dict[str, Any] = yaml.safe_load(_read("etcd.yaml"))
    own = address(node)
    for key in ("listen-peer-urls", "listen-client-urls", "initial-advertise-peer-urls", "advertise-client-urls"):
        content[key] = content[key].replace(address("db1"), own)
    return str(yaml.safe_dump(content | {"name": node, "data-dir": str(folder / "etcd")}))


def patroni(node: str, folder: Path, *, is_synchronous: bool) -> str:
    """Return Patroni's file for ``node``."""
    content: dict[str, Any] = yaml.safe_load(_read("patroni.yaml"))
    content["name"], own = node, address(node)
    for key in ("listen", "connect_address"):
        content["restapi"][key] = content["restapi"][key].replace(address("db1"), own)
        content["postgresql"][key] = content["postgresql"][key].replace(address("db1"), own)
    content["bootstrap"]["dcs"]["synchronous_mode"] = is_synchronous
    server = content["postgresql"]
    server |= {"data_dir": str(folder / "data"), "bin_dir": str(bin_dir()), "pgpass": str(folder / "pgpass")}
    server["parameters"] = {"unix_socket_directories": str(folder)}
    for account in server["authentication"].values():
        account["password"] = PASSWORD
    server["pg_hba"].insert(0, "local all all trust")
    return str(yaml.safe_dump(content))


def haproxy() -> str:
    """Return HAProxy's file."""
    return _read("haproxy.cfg")


def pgbouncer(folder: Path) -> str:
    """Return PgBouncer's file."""
    (folder / "userlist.txt").write_text(f'"petition" "{PASSWORD}"\n', encoding="utf-8")
    return replace_text(_read("pgbouncer.ini"), "/etc/pgbouncer/userlist.txt", str(folder / "userlist.txt"))


def nginx(folder: Path, webs: list[str], *, is_caching: bool = False) -> str:
    """Return a whole configuration of nginx around ours; ``webs`` are addresses with ports."""
    # The drill's visitors stand for a proxy before this one, as the comment in the file says.
    before = "    proxy_http_version 1.1;\n"
    more = f"    set_real_ip_from {address('visitors')};\n    real_ip_header X-Forwarded-For;\n"
    site = replace_text(nginx_site(folder, webs, HOST), before, more + before)
    return whole_nginx(folder, site, is_caching=is_caching)


def varnish(webs: list[str]) -> str:
    """Return Varnish's file; ``webs`` are addresses with ports."""
    return vcl(webs, PASSWORD)


def bin_dir() -> Path:
    """Return where the newest of Debian's PostgreSQL servers is."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    assert folders, "no PostgreSQL server: see tools/cluster.sh"
    return folders[-1]


def _read(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")
