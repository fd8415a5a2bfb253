"""``python -m tests.cluster``: a cluster of machines in network namespaces, broken on purpose. As root, on Linux."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from petition.core.resources import PACKAGE
from tests.cluster.network import network
from tests.cluster.parts import missing_programs


def main() -> int:
    """Return the drill's exit code: 0 if everything holds, 1 if not; 2 where it cannot run."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster")
    parser.add_argument("--keep", action="store_true", help="leave the folder with all logs")
    options, more = parser.parse_known_args()
    if os.geteuid() != 0:
        print("make cluster makes network namespaces, which takes root: run it with sudo", file=sys.stderr)
        return 2
    if missing := missing_programs():
        print(f"not installed: {', '.join(missing)}; see tools/cluster.sh", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="petition-cluster-"))
    folder.chmod(0o711)  # the servers' account enters it
    code = 1
    try:
        with network(os.getpid()) as net:
            code = subprocess.run(
                [*net.command("visitors"), sys.executable, "-m", "tests.cluster.drill",
                 "--owner", str(os.getpid()), "--folder", str(folder), *more],
                check=False, cwd=PACKAGE.parent,
            ).returncode  # fmt: skip
    finally:
        if options.keep or code:
            print(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
