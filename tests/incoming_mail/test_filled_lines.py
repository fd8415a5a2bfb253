"""The line to fill in is found in any reply, and never where it was not filled in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.incoming_mail import filled_lines

ANNA = {"name": "Anna Petrova", "visibility": "public", "city": "Tver"}
FILLED = "Name: Anna Petrova; Visibility: public; City: Tver"
REPLIES = {
    "one line": FILLED,
    "three lines": "Name: Anna Petrova\nVisibility: public\nCity: Tver",
    "quoted": f"> {FILLED}",
    "deeply quoted": f">> > {FILLED}",
    "quoted and wrapped": "> Name: Anna Petrova; Visibility: public;\n> City: Tver",
    "above the quotation": f"{FILLED}\n\nOn Monday, letters wrote:\n> Name: ; Visibility: ; City:",
    "below the quotation": f"> Name: ; Visibility: ; City:\n\n{FILLED}\n",
    "below a separator": f"\n-----Original Message-----\nFrom: letters\nSent: Monday\n\n{FILLED}",
    "below a line": f"________________________________\nFrom: letters\n{FILLED}",
    "Russian separator": f"-------- Исходное сообщение --------\nОт: letters\n{FILLED}",
    "emphasis": "*Name:* Anna Petrova; *Visibility:* public; *City:* Tver",
    "dots": "Name: Anna Petrova · Visibility: public. · City: Tver.",
    "capitals": "NAME: Anna Petrova; VISIBILITY: Public; CITY: Tver",
    "bullets": "- Name: Anna Petrova\n- Visibility: “public”\n- City: Tver",
    "wide colons": "Name\uff1a Anna Petrova; Visibility\uff1a public; City\uff1a Tver",
    "no spaces": "Name:Anna Petrova;Visibility:public;City:Tver",
    "both, the same": f"{FILLED}\n> {FILLED}",
    "equals signs": "Name= Anna Petrova; Visibility= everyone; City= Tver",
}


@pytest.mark.parametrize("text", REPLIES.values(), ids=REPLIES.keys())
def test_replies(text: str) -> None:
    lines = filled_lines.read(text)
    fields = {name: value.rstrip(".") for name, value in lines.fields.items()}
    assert (fields, lines.lang, lines.unclear) == (ANNA, "en", frozenset())


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("всем", "public"),
        ("Организаторам", "organizers"),
        ("только организаторам", "organizers"),
        ("НИКОМУ.", "counted"),
    ],
)
def test_russian(word: str, value: str) -> None:
    lines = filled_lines.read(f"Имя: Пётр Ёлкин; Видимость: {word}; Город: Орёл")
    assert lines.fields == {"name": "Пётр Ёлкин", "visibility": value, "city": "Орёл"}
    assert lines.lang == "ru"


NOTHING = {
    "blank": filled_lines.blank_line("en"),
    "blank, Russian": filled_lines.blank_line("ru"),
    "blank, quoted": "> Name: ; Visibility: ; City:",
    "lines to write on": "Name: ____; Visibility: …; City: ...",
    "within a sentence": "I think the Name: field is odd",
    "quoted letter": "> Name: John Doe\n> of the ministry",
    "empty": "",
}


@pytest.mark.parametrize("text", NOTHING.values(), ids=NOTHING.keys())
def test_nothing_was_filled_in(text: str) -> None:
    assert not filled_lines.read(text)


@pytest.mark.parametrize("word", ["", "yes", "public?no", "not public", "public or counted", "pub lic", "да"])
def test_visibility_is_never_assumed(word: str) -> None:
    assert "visibility" not in filled_lines.read(f"Name: Anna; Visibility: {word}").fields


def test_two_answers_are_none() -> None:
    lines = filled_lines.read("Name: Anna; Visibility: public\nName: Ivan; Visibility: counted")
    assert lines.unclear == {"name", "visibility"}
    assert not lines.fields


def test_what_is_typed_goes_before_what_is_quoted() -> None:
    lines = filled_lines.read("Name: Anna; Visibility: counted\n> Name: Ivan; Visibility: public")
    assert lines.fields == {"name": "Anna", "visibility": "counted"}


def test_names_with_letters_that_grow() -> None:
    assert filled_lines.read("Name: Anna Strauß; Visibility: public; City: İzmir").fields["name"] == "Anna Strauß"


@given(st.text(), st.sampled_from(["\n", "\n> ", "; ", "\r\n", " "]))
def test_nothing_typed_makes_an_error(text: str, between: str) -> None:
    lines = filled_lines.read(between.join((text, "Name: Anna Petrova; Visibility: public", text)))
    assert lines.fields.get("visibility") in {None, "public"}
    filled_lines.typed_text(text)


NAMES = st.from_regex(r"[A-Za-zА-Яа-я]{2,10} [A-Za-zА-Яа-я]{2,10}", fullmatch=True)


@given(NAMES, st.sampled_from(["public", "organizers", "counted"]), st.text(), st.booleans())
def test_what_was_filled_in_is_found(name: str, visibility: str, noise: str, is_quoted: bool) -> None:
    """Whatever stands around it, as long as that has no label."""
    noise = noise.replace(":", "").replace("=", "").replace("\uff1a", "").replace("_", "")
    line = f"Name: {name}; Visibility: {visibility}; City:"
    lines = filled_lines.read(f"{noise}\n\n{'> ' if is_quoted else ''}{line}\n\n{noise}")
    assert lines.fields == {"name": name, "visibility": visibility}
