"""The scripts behind make: a Chromium is found, installed or missed aloud; a Python that will not do is named."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from petition.core.resources import PACKAGE
from tests.html_checker import jar

TOOLS = PACKAGE.parent / "tools"
APT_GET = """#!/bin/sh
echo "apt-get $*"
[ "$1" = install ] || exit 0
for each in "$@"; do
  case " {packages} " in *" $each "*)
    printf '#!/bin/sh\\n' > {folder}/$each
    /bin/chmod +x {folder}/$each
    exit;;
  esac
done
exit 100
"""


class Machine:
    """A folder of commands, the only ones that a script finds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, name: str, text: str = "#!/bin/sh\n") -> Path:
        """Give it a command."""
        command = self.folder / name
        command.write_text(text)
        command.chmod(0o755)
        return command

    def run(self, script: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run one of our scripts on it."""
        command = ["/bin/sh", str(TOOLS / script), *arguments]
        environ["PATH"] = str(self.folder)
        return subprocess.run(command, capture_output=True, text=True, env=environ, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Give a machine that has nothing."""
    return Machine(tmp_path)


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"])
def test_a_browser_that_is_there_is_taken(machine: Machine, name: str) -> None:
    browser = machine.has(name)
    done = machine.run("chromium.sh")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{browser}\n", "")


def test_the_browser_that_is_asked_for_is_taken(machine: Machine) -> None:
    machine.has("chromium")
    mine = machine.has("mine")
    assert machine.run("chromium.sh", CHROMIUM=str(mine)).stdout == f"{mine}\n"
    done = machine.run("chromium.sh", CHROMIUM="/nowhere/chromium")
    assert (done.returncode, done.stdout) == (1, "")
    assert "/nowhere/chromium, which cannot be run" in done.stderr


def test_root_has_one_installed_and_is_told(machine: Machine) -> None:
    machine.has("apt-get", APT_GET.format(folder=machine.folder, packages="chromium"))
    machine.has("id", "#!/bin/sh\necho 0\n")
    done = machine.run("chromium.sh")
    assert (done.returncode, done.stdout) == (0, f"{machine.folder / 'chromium'}\n")
    said = done.stderr.splitlines()
    assert said[0] == "no Chromium here: installing one with apt-get"
    assert said[1].startswith("apt-get update")
    assert "chromium" in said[2]


def test_the_headless_shell_is_taken_or_installed(machine: Machine) -> None:
    machine.has("apt-get", APT_GET.format(folder=machine.folder, packages="chromium-headless-shell"))
    machine.has("id", "#!/bin/sh\necho 0\n")
    installed = machine.run("chromium.sh", "shell")
    shell = machine.folder / "chromium-headless-shell"
    assert (installed.returncode, installed.stdout) == (0, f"{shell}\n")
    assert installed.stderr.startswith("no headless shell here: installing one with apt-get")
    again = machine.run("chromium.sh", "shell")
    assert (again.returncode, again.stdout, again.stderr) == (0, f"{shell}\n", "")
    mine = machine.has("mine")
    assert machine.run("chromium.sh", "shell", HEADLESS_SHELL=str(mine)).stdout == f"{mine}\n"
    done = machine.run("chromium.sh", "shell", HEADLESS_SHELL="/nowhere/shell")
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("user", [0, 1000])
def test_without_a_headless_shell_the_whole_browser_will_do(machine: Machine, user: int) -> None:
    machine.has("apt-get", APT_GET.format(folder=machine.folder, packages=""))
    machine.has("id", f"#!/bin/sh\necho {user}\n")
    browser = machine.has("chromium")
    done = machine.run("chromium.sh", "shell")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, str(browser))


@pytest.mark.parametrize(("apt_get", "user"), [(False, 0), (True, 1000)])
def test_no_browser_is_a_failure(machine: Machine, apt_get: bool, user: int) -> None:
    machine.has("id", f"#!/bin/sh\necho {user}\n")
    if apt_get:
        machine.has("apt-get", APT_GET.format(folder=machine.folder, packages=""))
    done = machine.run("chromium.sh")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("the tests need Chromium: install one")


def test_curl_is_there_or_is_installed_or_missed(machine: Machine) -> None:
    missed = machine.run("curl.sh")
    assert missed.returncode == 1
    assert "the tests need curl" in missed.stderr
    machine.has("apt-get", APT_GET.format(folder=machine.folder, packages="curl"))
    machine.has("id", "#!/bin/sh\necho 0\n")
    installed = machine.run("curl.sh")
    assert installed.returncode == 0
    assert installed.stderr.startswith("no curl here: installing one with apt-get")
    assert machine.run("curl.sh").stderr == ""


SERVERS = ("nginx", "caddy", "pgbouncer", "postfix", "varnishd", "systemd-analyze")


def test_servers_are_there_or_are_installed_or_missed(machine: Machine) -> None:
    elsewhere = {"SBIN": "/nowhere", "LIB": str(machine.folder), "POLICY": str(machine.folder / "policy-rc.d")}
    packages = "caddy pgbouncer postfix varnish varnish-modules systemd"
    for name in ("nginx", "ls", "chmod", "rm"):
        machine.has(name, f'#!/bin/sh\nexec /bin/{name} "$@"\n')
    machine.has("id", "#!/bin/sh\necho 1000\n")
    missed = machine.run("servers.sh", **elsewhere)
    assert missed.returncode == 1
    assert f"apt-get install {packages}" in missed.stderr
    machine.has("apt-get", APT_GET.format(folder=machine.folder, packages=packages))
    assert machine.run("servers.sh", **elsewhere).returncode == 1  # not as root
    machine.has("id", "#!/bin/sh\necho 0\n")
    installed = machine.run("servers.sh", **elsewhere)
    assert installed.returncode == 0
    assert installed.stderr.startswith("installing with apt-get: caddy pgbouncer")
    assert not (machine.folder / "policy-rc.d").exists()
    for name in SERVERS:
        machine.has(name)
    vmod = machine.folder / "any/varnish/vmods/libvmod_xkey.so"
    vmod.parent.mkdir(parents=True)
    vmod.touch()
    assert machine.run("servers.sh", **elsewhere).stderr == ""


def test_the_html_checker_that_is_asked_for_is_taken(machine: Machine) -> None:
    jar = machine.has("mine.jar")
    assert machine.run("vnu.sh", VNU_JAR=str(jar)).stdout == f"{jar}\n"
    done = machine.run("vnu.sh", VNU_JAR="/nowhere/vnu.jar")
    assert (done.returncode, done.stdout) == (1, "")
    assert "/nowhere/vnu.jar, which cannot be read" in done.stderr


def test_java_is_installed_for_the_html_checker_or_missed(machine: Machine) -> None:
    machine.has("id", "#!/bin/sh\necho 1000\n")
    missed = machine.run("vnu.sh")
    assert (missed.returncode, missed.stdout) == (1, "")
    assert "the tests need java: install it (Debian: apt-get install default-jre-headless)" in missed.stderr
    machine.has("id", "#!/bin/sh\necho 0\n")
    machine.has("apt-get", APT_GET.format(folder=machine.folder, packages="default-jre-headless"))
    assert "no java here: installing default-jre-headless with apt-get" in machine.run("vnu.sh").stderr


@pytest.mark.parametrize("is_whole", [True, False])
def test_the_html_checker_is_fetched_once_and_only_as_it_was(machine: Machine, tmp_path: Path, is_whole: bool) -> None:
    folder = tmp_path / "packed" / "package" / "build" / "dist"
    folder.mkdir(parents=True)
    if is_whole:
        (folder / "vnu.jar").symlink_to(jar())
    else:
        (folder / "vnu.jar").write_bytes(b"something else")
    machine.has("java")
    machine.has("npm", f'#!/bin/sh\ntar -chf "vnu-jar-${{3#*@}}.tgz" -C {tmp_path / "packed"} package\n')
    for name in ("mktemp", "tar", "sha256sum", "mv", "rm"):
        (machine.folder / name).symlink_to(str(shutil.which(name)))
    done = machine.run("vnu.sh", VENV=str(tmp_path))
    kept = [*tmp_path.glob("vnu-*.jar")]
    if not is_whole:
        assert (done.returncode, done.stdout, kept) == (1, "", [])
        return
    assert (done.returncode, done.stdout) == (0, f"{kept[0]}\n")
    machine.has("npm", "#!/bin/sh\nexit 1\n")
    assert machine.run("vnu.sh", VENV=str(tmp_path)).stdout == done.stdout


def test_a_python_that_will_not_do_is_named(machine: Machine, tmp_path: Path) -> None:
    folder = str(tmp_path / "venv")
    assert machine.run("venv.sh", "python3", folder).stderr.startswith("python3 was not found")
    machine.has("old", '#!/bin/sh\ncase "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac\n')
    assert machine.run("venv.sh", "old", folder).stderr.startswith("Python 3.9.2 is too old")
    machine.has("bare", '#!/bin/sh\ncase "$2" in *venv*) exit 1;; esac\n')
    assert "apt-get install python3-venv" in machine.run("venv.sh", "bare", folder).stderr
    assert not Path(folder).exists()


@pytest.mark.parametrize(("name", "extra"), [("requirements.txt", False), ("requirements-dev.txt", True)])
def test_whatever_is_asked_for_is_pinned(name: str, extra: bool) -> None:
    project = tomllib.loads((TOOLS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = project["project"]["dependencies"] + project["build-system"]["requires"]
    wanted += project["project"]["optional-dependencies"]["dev"] if extra else []
    pinned = dict(re.findall(r"^([a-z0-9.-]+)==([^ ]+)", (TOOLS.parent / name).read_text("utf-8"), re.M))
    for requirement in map(Requirement, wanted):
        assert pinned[requirement.name.lower()] in requirement.specifier, f"{requirement}: make requirements"


def test_no_file_of_requirements_says_where_packages_come_from() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (TOOLS.parent / name).read_text(encoding="utf-8")
        assert "--hash=sha256:" in text
        assert "://" not in text
        assert "index" not in text.replace("# via", "")
