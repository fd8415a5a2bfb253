"""``petition keys rotate``: a new SECRET_KEY, and every link that was mailed before goes on working."""

import os
import subprocess
import sys
from pathlib import Path

from petition.core.decryptions import DecryptionCounts, DecryptionPurpose
from petition.core.encryption import Opener, Sealer, new_contact_pair
from petition.core.ids import LetterId, SignatureId
from petition.core.settings import Process, load
from petition.core.tokens import Tokens

WORKER = {"SMTP_URLS": "smtp://127.0.0.1:25", "MAIL_FROM": "letters@letters.example"}
LINK = LetterId(7), SignatureId(42)


def rotate(environ: dict[str, str], *more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "petition", "keys", "rotate", *more],
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


def test_a_contact_pair_kept_in_files(tmp_path: Path) -> None:
    environ = {"DATA_DIR": str(tmp_path)}
    first = load(environ | WORKER, role=Process.WORKER)
    sealed = Sealer(first.contact_public_key).seal("vera@letters.example")
    assert "restart" in rotate(environ, "--contact")
    rotate(environ, "--contact")
    now = load(environ | WORKER, role=Process.WORKER)
    assert load(environ, role=Process.WEB).contact_public_key == now.contact_public_key != first.contact_public_key
    assert now.former_contact_keys[-1] == first.contact_private_key
    assert len({now.contact_private_key, *now.former_contact_keys}) == 3
    opener = Opener(now.contact_private_key or "", DecryptionCounts(), now.former_contact_keys)
    assert opener.open(sealed, None, DecryptionPurpose.KEY_CHECK) == "vera@letters.example"
    assert load(environ, role=Process.WEB).former_contact_keys == ()


def test_a_contact_pair_in_the_environment(tmp_path: Path) -> None:
    public, private = new_contact_pair()
    environ = {
        "DATA_DIR": str(tmp_path), "BASE_URL": "https://letters.example", "SECRET_KEY": "a" * 40, "CONTROLLER": "us",
        "CONTACT_PUBLIC_KEY": public, "CONTACT_PRIVATE_KEY": private,
    }  # fmt: skip
    lines = dict(line.split("=", 1) for line in rotate(environ, "--contact").splitlines() if not line.startswith("#"))
    rotated = load({**environ, **WORKER, **lines}, role=Process.WORKER)
    assert rotated.former_contact_keys == (private,)
    assert rotated.contact_public_key != public
    again = dict(
        line.split("=", 1)
        for line in rotate({**environ, **lines}, "--contact").splitlines()
        if not line.startswith("#")
    )
    assert again["OLD_CONTACT_PRIVATE_KEYS"].split() == [rotated.contact_private_key, private]
    refused = subprocess.run(
        [sys.executable, "-m", "petition", "keys", "rotate", "--contact"],
        env={"PATH": os.environ["PATH"], **environ, "CONTACT_PRIVATE_KEY": ""}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert (refused.returncode, "run this where the worker's secrets are" in refused.stderr) == (1, True)


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
