"""Forms with files that no browser sends: refused, never an error of ours."""

import pytest

from petition.web import multipart

PART = '--x\r\nContent-Disposition: form-data; name="a"; {}\r\n\r\nhello\r\n--x--\r\n'
STRANGE = [
    "filename*=idna'en'abc",
    "filename*=a\0b'en'abc",
    "filename*=punycode'en'%ff",
    "filename*=undefined'en'abc",
    "filename*0*=idna''x; filename*1=y",
]


@pytest.mark.parametrize("told", STRANGE)
def test_a_strange_name_of_a_file(told: str) -> None:
    with pytest.raises(multipart.BadForm):
        multipart.parse("multipart/form-data; boundary=x", PART.format(told).encode())


@pytest.mark.parametrize("told", ["boundary*=idna'en'abc", "boundary*=undefined'en'abc"])
def test_a_strange_boundary(told: str) -> None:
    with pytest.raises(multipart.BadForm):
        multipart.parse(f"multipart/form-data; {told}", b"--abc--")


def test_a_whole_form() -> None:
    form = multipart.parse("multipart/form-data; boundary=x", PART.format('filename="b"').encode())
    assert (form.fields, form.files) == ({}, {"a": b"hello"})
