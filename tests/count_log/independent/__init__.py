"""Verifies a proof without our code: with Go's library, or, where there is no Go, by the definitions of RFC 6962."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SOURCE = Path(__file__).with_name("verify.go")
LIBRARY = Path("/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog")  # of Debian's golang-golang-x-mod-dev
BUILT = Path(os.environ.get("TMPDIR", "/tmp")) / f"petition-verify-{os.getuid()}"


@cache
def program() -> Path | None:
    """Return the built program; None without Go. It is built once for all test runs."""
    go = shutil.which("go")
    if go is None or not LIBRARY.is_dir():
        return None
    built = BUILT / hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    if not built.exists():
        BUILT.mkdir(mode=0o700, exist_ok=True)
        environ = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(BUILT / "cache")}
        being_built = built.with_suffix(f".{os.getpid()}")
        subprocess.run([go, "build", "-o", being_built, SOURCE], check=True, env=environ)
        being_built.rename(built)
    return built


def verify(key: str, proof: Path) -> str:
    """Return ``index size entry`` of a proof that holds, else what is wrong with it."""
    built = program()
    if built is None:
        return by_definition(key, proof.read_text(encoding="utf-8"))
    done = subprocess.run([built, key, proof], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip()


def by_definition(key: str, proof: str) -> str:
    """Verify by what the specifications say, sharing no code with what made the proof."""
    head, _, checkpoint = proof.partition("\n\n")
    _, extra, index_line, *path = head.split("\n")
    text, _, signatures = checkpoint.partition("\n\n")
    origin, size_text, root = text.split("\n")[:3]
    name, _, encoded = re.fullmatch(r"(\S+)\+([0-9a-f]{8})\+(\S+)", key).groups()  # type: ignore[union-attr]
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(encoded)[1:])
    signature = next(line.split(" ")[2] for line in signatures.split("\n") if line.startswith(f"— {name} "))
    try:
        public.verify(base64.b64decode(signature)[4:], f"{text}\n".encode())
    except InvalidSignature:
        return "invalid signature"
    entry, index, size = base64.b64decode(extra.split(" ")[1]), int(index_line.split(" ")[1]), int(size_text)
    nodes = [base64.b64decode(line) for line in path]
    if origin != name or base64.b64encode(_root(entry, index, size, nodes)).decode() != root:
        return "the proof does not hold"
    return f"{index} {size} {entry.hex()}"


def _root(entry: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    if size == 1:
        return hashlib.sha256(b"\0" + entry).digest()
    left = 1
    while left * 2 < size:
        left *= 2
    *rest, sibling = path or [b""]
    if index < left:
        return hashlib.sha256(b"\1" + _root(entry, index, left, rest) + sibling).digest()
    return hashlib.sha256(b"\1" + sibling + _root(entry, index - left, size - left, rest)).digest()
