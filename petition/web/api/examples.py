"""The same request three times: with curl, in JavaScript, in Python. Each is run as it stands in a test."""

from collections.abc import Mapping

Samples = list[dict[str, str]]

# What is told of an answer, in each language's own words.
TOLD: Mapping[str, tuple[str, str]] = {
    "letter": ("letter.counts.total", 'letter["counts"]["total"]'),
    "count": ("count.total", 'count["total"]'),
    "history": ("history.items.length", 'len(history["items"])'),
    "signatories": ("signatories.items.length", 'len(signatories["items"])'),
    "partners": ("partners.items.length", 'len(partners["items"])'),
}


def samples(name: str, url: str) -> Samples:
    """Return the code samples of an operation, as ``x-codeSamples`` has them."""
    made = _of_events(url) if name == "events" else _of_json(name, url)
    return [
        {"lang": lang, "label": label, "source": source}
        for lang, label, source in zip(
            ("Shell", "JavaScript", "Python"), ("curl", "JavaScript", "Python"), made, strict=True
        )
    ]


def _of_json(name: str, url: str) -> tuple[str, str, str]:
    script, python = TOLD[name]
    return (
        f"curl --fail --compressed '{url}'",
        f'const answer = await fetch("{url}");\n'
        "if (!answer.ok) throw new Error((await answer.json()).title);\n"
        f"const {name} = await answer.json();\n"
        f"console.log({script});",
        "import json\nfrom urllib.request import urlopen\n\n"
        f'with urlopen("{url}") as answer:\n    {name} = json.load(answer)\nprint({python})',
    )


def _of_events(url: str) -> tuple[str, str, str]:
    return (
        f"curl --no-buffer --max-time 10 '{url}'",
        f'const events = new EventSource("{url}");\n'
        'events.addEventListener("count", event => console.log(JSON.parse(event.data).total));',
        "import json\nfrom urllib.request import urlopen\n\n"
        f'with urlopen("{url}") as events:\n'
        "    for line in events:\n"
        '        if line.startswith(b"data: "):\n'
        '            print(json.loads(line[6:])["total"])\n'
        "            break  # or continue: the next line comes when the count changes",
    )
