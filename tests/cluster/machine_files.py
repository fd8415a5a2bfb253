"""The files of deploy/ as they stand, but for names, addresses, paths and passwords: what the handbook says is run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.network import address
from tests.deploy.proxies import DEPLOY, whole_nginx

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
    return _replace(_read("pgbouncer.ini"), {"/etc/pgbouncer/userlist.txt": str(folder / "userlist.txt")})


def nginx(folder: Path, webs: list[str]) -> str:
    """Return a whole configuration of nginx around ours; ``webs`` are addresses with ports."""
    servers = "".join(f"server {web} max_fails=0;\n    " for web in webs)
    site = _replace(
        _read("nginx.conf"),
        {
            "server 127.0.0.1:8000 max_fails=0;": servers,
            "letters.example;": f"{HOST};",
            "/etc/ssl/letters.example.pem": f"{folder}/cert.pem",
            "/etc/ssl/letters.example.key": f"{folder}/key.pem",
            "/var/log/nginx/letters.error.log": f"{folder}/site.log",
            "    listen [::]:80;\n": "",
            "    listen [::]:80 default_server;\n": "",
            "    listen [::]:443 ssl http2;\n": "",
            "    listen [::]:443 ssl http2 default_server;\n": "",
            # The drill's visitors stand for a proxy before this one, as the comment in the file says.
            "    proxy_http_version 1.1;\n": f"    set_real_ip_from {address('visitors')};\n"
            "    real_ip_header X-Forwarded-For;\n    proxy_http_version 1.1;\n",
        },
    )
    return whole_nginx(folder, site)


def varnish(webs: list[str]) -> str:
    """Return Varnish's file; ``webs`` are addresses with ports."""
    hosts, ports = zip(*(web.rsplit(":", 1) for web in webs), strict=True)
    text = _replace(_read("varnish.vcl"), {"Bearer change-this": f"Bearer {PASSWORD}"})
    start, end = text.index("backend web1 {"), text.index("sub vcl_init {")
    one = text[start:end]
    backends = [
        _replace(one, {"web1": f"web{number}", '"127.0.0.1"': f'"{host}"', '"8000"': f'"{port}"'})
        for number, (host, port) in enumerate(zip(hosts, ports, strict=True), 1)
    ]
    calls = [f"webs.add_backend(web{number});" for number in range(1, len(webs) + 1)]
    rest = _replace(text[end:], {"webs.add_backend(web1);": "\n    ".join(calls)})
    return text[:start] + "".join(backends) + rest


def bin_dir() -> Path:
    """Return where the newest of Debian's PostgreSQL servers is."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    assert folders, "no PostgreSQL server: see tools/cluster.sh"
    return folders[-1]


def _read(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def _replace(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text
