"""``petition keys rotate``: a new SECRET_KEY, and every link that was mailed before goes on working."""

import os
import subprocess
import sys
from pathlib import Path

from petition.core.ids import LetterId, SignatureId
from petition.core.settings import Process, load
from petition.core.tokens import Tokens

LINK = LetterId(7), SignatureId(42)


def rotate(environ: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "petition", "keys", "rotate"],
        env={"PATH": os.environ["PATH"], **environ}, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


def test_secrets_kept_in_files(tmp_path: Path) -> None:
    environ = {"DATA_DIR": str(tmp_path)}
    first = load(environ, role=Process.WEB).secret_keys
    token = Tokens(first).for_signature(*LINK)
    assert "restart" in rotate(environ)
    rotate(environ)
    now = load(environ, role=Process.WEB).secret_keys
    assert len(now) == len(set(now)) == 3
    assert now[-1:] == first
    assert Tokens(now).read_signature(token) == LINK
    assert Tokens(now).for_signature(*LINK) != token


def test_secrets_in_the_environment(tmp_path: Path) -> None:
    environ = {
        "DATA_DIR": str(tmp_path), "BASE_URL": "https://letters.example", "SECRET_KEY": "a" * 40,
        "OLD_SECRET_KEYS": "b" * 40, "CONTACT_PUBLIC_KEY": "0" * 64,
    }  # fmt: skip
    lines = dict(line.split("=", 1) for line in rotate(environ).splitlines() if not line.startswith("#"))
    rotated = load({**environ, **lines, "CONTROLLER": "us"}, role=Process.WEB).secret_keys
    assert rotated[1:] == ("a" * 40, "b" * 40)
    assert rotated[0] not in rotated[1:]
    token = Tokens(["b" * 40]).for_signature(*LINK)
    assert Tokens(rotated).read_signature(token) == LINK
    assert not (tmp_path / "secrets").exists()
