"""The real ``petition demo``, with the web and the worker: the main road from the letter to the count, twice."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from petition.demo import crowd, sample
from tests.demo.test_supervisor import free_port, until
from tests.pages import without_ticket
from tests.postgres.test_cluster import gone

CHECKOUT = Path(__file__).parents[2]


@contextmanager
def demo(data_dir: Path, port: int, *more: str) -> Iterator[str]:
    """Run the demo; give the address of its mailbox."""
    process = subprocess.Popen(
        [sys.executable, "-m", "petition", "demo", "--data", str(data_dir), "--port", str(port), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        env=os.environ | {"CAPTCHA": "off", "DATABASE_URL": ""},
    )
    try:
        assert process.stdout
        said = []
        for line in process.stdout:
            said.append(line)
            if "Ctrl-C" in line:
                break
        found = re.search(r"The mailbox\s+(\S+)", "".join(said))
        assert found, (said, process.communicate())
        yield found[1]
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
        assert (process.returncode, output, errors) == (0, "", "")
        assert not (data_dir / "postgres" / "cluster" / "postmaster.pid").exists()
    finally:
        process.kill()
        process.communicate()
        gone(data_dir)


def test_a_newcomer_signs_confirms_and_is_counted_and_a_second_demo_remembers(open_folder: Path) -> None:
    port = free_port()
    site = f"http://localhost:{port}"
    letter = f"{site}/ru/{sample.slug()}"
    with httpx2.Client(follow_redirects=True, trust_env=False) as client:
        with demo(open_folder, port, "--empty") as mailbox:
            page = client.get(letter).text
            form = {
                "version": re.findall(r'name="version" value="([^"]+)"', page)[0],
                "kind": "person",
                "name": "Ёлка Ивановна",
                "email": "yolka@example.org",
                "visibility": "public",
                "consent": "1",
            }
            assert client.post(f"{letter}/sign", data=form).url == f"{letter}/check-your-inbox"
            until(lambda: "/mail/1" in client.get(mailbox).text)
            link = re.findall(rf"{site}/ru/confirm/[^\"<\s]+", client.get(f"{mailbox}mail/1").text)[0]
            assert without_ticket(str(client.post(link).url)) == f"{letter}/signed"
            until(lambda: 'data-count="total" value="1"' in client.get(letter).text)
        with demo(open_folder, port):
            assert 'data-count="total" value="1"' in client.get(letter).text
            assert "Ёлка Ивановна" in client.get(link).text  # now the signatory's own page


def test_the_sample_letter_is_peopled_once(open_folder: Path) -> None:
    port = free_port()
    letter = f"http://localhost:{port}/api/v1/letters/{sample.slug()}"
    with httpx2.Client(trust_env=False) as client:
        for _ in range(2):  # the second demo finds the data of the first
            with demo(open_folder, port):
                data = client.get(letter).json()
                assert data["counts"]["people"] == crowd.PEOPLE + len(crowd.HERE) + crowd.TALLY[0]
                assert data["counts"]["organizations"] == len(crowd.ORGANIZATIONS)
                assert [source["kind"] for source in data["sources"]] == ["confirmed", "list", "paper"]
                assert [row["state"] for row in data["addressees"]] == ["delivered", "answered", "delivered"]
                assert [row["days_silent"] for row in data["addressees"]] == [19, None, 12]
                days = client.get(f"{letter}/history?step=day").json()["items"]
                assert len(days) > 20
                assert data["opened_at"] <= days[0]["start"][:10] + "T23:59:59Z"
                found = client.get(f"{letter}/signatories?kind=organization").json()["items"]
                assert all(item["name_en"] and item["name_ru"] for item in found)
                assert "The first answer" in client.get(f"http://localhost:{port}/en/{sample.slug()}/updates").text
