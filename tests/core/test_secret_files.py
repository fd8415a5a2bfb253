"""The secrets a loopback installation makes for itself."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from petition.core.encryption import public_half
from petition.core.errors import SettingsError
from petition.core.secret_files import Secrets

ASK = """
import sys
from pathlib import Path
from petition.core.secret_files import Secrets
own = Secrets(Path(sys.argv[1]))
sys.stdin.readline()
print(own.secret_keys()[0], own.contact_public_key(), own.contact_private_key(), own.dkim_private_key())
"""


def test_they_are_made_once_and_kept(tmp_path: Path) -> None:
    first, second = Secrets(tmp_path / "data"), Secrets(tmp_path / "data")
    assert len(first.secret_keys()[0]) == 64
    assert second.secret_keys()[0] == first.secret_keys()[0]
    assert second.contact_public_key() == first.contact_public_key()
    assert public_half(first.contact_private_key()) == first.contact_public_key()
    assert Secrets(tmp_path / "other").secret_keys()[0] != first.secret_keys()[0]


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    own = Secrets(tmp_path)
    own.secret_keys()[0]
    own.contact_public_key()
    own.dkim_private_key()
    folder = tmp_path / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = {each.name for each in folder.iterdir()}
    assert files == {"secret_key", "contact_public_key", "contact_private_key", "dkim_private_key", "lock"}
    for name in files - {"lock"}:
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_two_first_starts_at_once_agree(tmp_path: Path) -> None:
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, str(tmp_path / "data")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for each in asking:
        assert each.stdin
        each.stdin.write("go\n")
        each.stdin.flush()
    assert len({each.communicate()[0] for each in asking}) == 1
    assert [each.returncode for each in asking] == [0] * 4


def test_the_private_key_can_be_taken_away(tmp_path: Path) -> None:
    own = Secrets(tmp_path)
    public = own.contact_public_key()
    (tmp_path / "secrets" / "contact_private_key").unlink()
    assert own.contact_public_key() == public
    with pytest.raises(SettingsError, match="private contact key"):
        own.contact_private_key()
    assert not (tmp_path / "secrets" / "contact_private_key").exists()  # not made anew: it would open nothing


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"cannot be read or made: [A-Z][a-z ]+$"):
        Secrets(tmp_path / "file").secret_keys()[0]
