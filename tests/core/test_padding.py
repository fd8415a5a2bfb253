"""Lengths tell nothing: every ciphertext is padded, or is one of those that need not be."""

import ast
from pathlib import Path

import pytest

from petition.core import encryption
from petition.core.encryption import LetterKeys, Sealer

PACKAGE = Path(encryption.__file__).parents[1]
# Documented in docs/decisions/padding.md: files, and what has one length.
UNPADDED = {
    ("audits/worker.py", "pyrage.encrypt(content, [pyrage.x25519.Recipient.from_str(recipient)])"),
    ("addressees/files.py", "keys.encrypt(content)"),
    ("imports/prepared_rows.py", "self.keys.encrypt(lines)"),
    ("imports/steering.py", "keys.encrypt(bytes(buffer))"),
    ("packages/making.py", "keys.encrypt(document)"),
    ("web/public/thanks.py", "(await visit.services.day_keys.today()).encrypt(ticket.pack())"),
}
OURS = {"core/encryption.py", "core/quotas.py"}  # which define these methods
OTHER_OBJECTS = {"self", "FileInfo(name)", "inspection.file"}  # whose ``encrypt`` hides fields


def test_all_that_is_encrypted_is_padded() -> None:
    bare = set()
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or name in OURS:
                continue
            is_cipher = node.func.attr == "encrypt" and ast.unparse(node.func.value) not in OTHER_OBJECTS
            if is_cipher and not ast.unparse(node.args[0]).startswith("padded_json("):
                bare.add((name, ast.unparse(node)))
    assert bare == UNPADDED


@pytest.mark.parametrize("names", [("Ян Ли", "Maximiliane von Hohenstein"), ("А" * 3, "Я" * 60)])
def test_sealed_and_hidden_names_have_one_length(names: tuple[str, str]) -> None:
    keys, sealer = LetterKeys(encryption.new_key(), encryption.new_key()), Sealer(encryption.new_contact_pair()[0])
    assert len({len(keys.hide({"name": name})) for name in names}) == 1
    assert len({len(sealer.seal_fields({"name": name})) for name in names}) == 1
    assert len({len(sealer.seal(f"{name}@letters.example")) for name in ("a", "a" * 40)}) == 1
