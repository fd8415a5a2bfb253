"""The witness's files: the program itself, the partner's key, the state between its runs."""

import json
from pathlib import Path

import pytest

from petition.count_log import witness_bundle
from petition.count_log.witness import ExitCode
from petition.count_log.witness_files import BadWitnessFile, WitnessState, read_key
from tests import commands
from tests.count_log.conftest import LogBench
from tests.count_log.partner import Partner
from tests.count_log.rewriting import sign
from tests.running import SLUG, Installation


async def test_the_command_and_the_downloaded_file_are_one_source(site: Installation, partner: Partner) -> None:
    answer = await site.client.get(f"/{witness_bundle.NAME}")
    assert answer.content == (partner.folder / witness_bundle.NAME).read_bytes()
    page = await site.client.get(f"/en/{SLUG}/witness")
    assert witness_bundle.sha256() in page.text
    code, said = await commands.run(
        f"witness http://127.0.0.1:1/en/{SLUG} --key {partner.key} --state {partner.state}", {}
    )
    assert (code, "cannot be reached" in said) == (ExitCode.UNREACHABLE, True)
    assert await partner.run(url=f"http://127.0.0.1:1/en/{SLUG}") == (code, said.partition("\n")[2])
    assert (await commands.run("witness", {}))[0] == 2


def test_the_key_is_the_partners_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    made, is_new = read_key(path, "witness.example")
    assert (is_new, path.stat().st_mode & 0o777) == (True, 0o600)
    assert read_key(path, None) == (made, False)
    with pytest.raises(BadWitnessFile, match="not of other"):
        read_key(path, "other.example")
    path.chmod(0o640)
    with pytest.raises(BadWitnessFile, match="chmod 600"):
        read_key(path, None)
    path.chmod(0o600)
    path.write_text("PRIVATE+KEY+x+00000000+AAAA")
    with pytest.raises(BadWitnessFile):
        read_key(path, None)
    with pytest.raises(BadWitnessFile, match="no spaces"):
        read_key(tmp_path / "another", "a name")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"format": 2, "logs": {}}', "newer version"),
        ('{"format": 1, "logs": {"x": {}}}', "damaged"),
    ],
)
def test_a_state_that_cannot_be_used_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "state").write_text(content)
    with pytest.raises(BadWitnessFile, match=words), WitnessState.locked(tmp_path / "state", 0.0):
        pass


async def test_a_state_of_the_future_and_a_second_run(site: Installation, logged: LogBench, partner: Partner) -> None:
    await sign(site, logged, 12)
    assert (await partner.run())[0] == 0
    with WitnessState.locked(partner.state, 1e10):
        code, said = await partner.run()
        assert (code, "another run has not ended" in said) == (ExitCode.OWN_FILES, True)
    state = json.loads(partner.state.read_text())
    (log,) = state["logs"].values()
    log["at"] += 100_000
    partner.state.write_text(json.dumps(state))
    code, said = await partner.run()
    assert (code, "clock is wrong" in said) == (ExitCode.OWN_FILES, True)


def test_the_file_can_be_read_and_checked() -> None:
    text = witness_bundle.content().decode()
    assert all(f'SOURCES["petition.{module}"]' in text for module in witness_bundle.MODULES)
    assert "import nacl" not in text
