"""Reading a form: as the standard library does, only faster."""

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from petition.web.http import MAX_FIELDS, parse_form

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@given(st.dictionaries(texts, texts, max_size=8))
def test_what_a_browser_sends_is_read_as_it_was_typed(typed: dict[str, str]) -> None:
    assert parse_form(urlencode(typed).encode()) == typed


@given(st.text(st.sampled_from("ab=&+%41ЯD0"), max_size=30).map(str.encode))
@example(b"a=%D0%AF&a=b&&=c&d&e=%zz%4&f=1=2+%2B")
def test_whatever_is_sent_is_read_as_the_standard_library_does(body: bytes) -> None:
    assume(b"%00" not in body)  # which we refuse
    try:
        expected = dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict"))
    except ValueError:
        with pytest.raises(HTTPException):
            parse_form(body)
    else:
        assert parse_form(body) == expected


@pytest.mark.parametrize("body", [b"a=\xff", b"a=%FF", b"a=%00", b"a=\0", b"&".join([b"a=1"] * (MAX_FIELDS + 1))])
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(HTTPException):
        parse_form(body)
