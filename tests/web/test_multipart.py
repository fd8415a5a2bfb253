"""Forms with files that no browser sends: refused, never an error of ours."""

from collections.abc import AsyncIterator

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


@pytest.mark.parametrize("parameter", STRANGE)
def test_a_strange_name_of_a_file(parameter: str) -> None:
    with pytest.raises(multipart.BadForm):
        multipart.parse("multipart/form-data; boundary=x", PART.format(parameter).encode())


@pytest.mark.parametrize("parameter", ["boundary*=idna'en'abc", "boundary*=undefined'en'abc"])
def test_a_strange_boundary(parameter: str) -> None:
    with pytest.raises(multipart.BadForm):
        multipart.parse(f"multipart/form-data; {parameter}", b"--abc--")


def test_a_whole_form() -> None:
    form = multipart.parse("multipart/form-data; boundary=x", PART.format('filename="b"').encode())
    assert (form.fields, form.files) == ({}, {"a": b"hello"})


FIELD = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n%s\r\n'
FILE = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\nContent-Type: text/csv\r\n\r\n'
    b"%s\r\n--x--\r\n"
)


async def uploaded(body: bytes, size: int) -> tuple[str, bytes]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]
        yield b""

    upload = multipart.Upload("multipart/form-data; boundary=x")
    content = b"".join([piece async for piece in upload.content(chunks())])
    return upload.name, content


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
async def test_an_upload_in_chunks_of_any_size(size: int) -> None:
    content = b"name\r\n--y\r\n\r\n--\r\n-" * 20
    assert await uploaded(FIELD % b"b" + FILE % ("Список.csv".encode(), content), size) == ("Список.csv", content)
    assert await uploaded(FILE % (b"\xf1\xef.csv", content), size) == ("\ufffd\ufffd.csv", content)
    assert await uploaded(FILE % (b"", b""), size) == ("", b"")


@pytest.mark.parametrize(
    "body",
    [
        FIELD % (b"b" * 5000) + FILE % (b"a.csv", b"c"),
        FIELD % b"b" * 8 + FILE % (b"a.csv", b"c"),
        FIELD.replace(b"\r\n\r\n", b"\r\nX: " + b"y" * 5000 + b"\r\n\r\n") % b"b" + FILE % (b"a.csv", b"c"),
        FIELD % b"b" + b"--x--\r\n",
        (FILE % (b"a.csv", b"c"))[:-9],
        b"preamble\r\n" + FILE % (b"a.csv", b"c"),
    ],
    ids=["a long field", "many parts", "a long header", "no file", "no end", "a preamble"],
)
@pytest.mark.parametrize("size", [10, 100_000])
async def test_what_is_no_upload(body: bytes, size: int) -> None:
    with pytest.raises(multipart.BadForm):
        await uploaded(body, size)


def test_a_whole_form_has_no_preamble_either() -> None:
    with pytest.raises(multipart.BadForm):
        multipart.parse("multipart/form-data; boundary=x", b"\r\n" + PART.format('filename="b"').encode())
