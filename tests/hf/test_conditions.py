"""Conditional and partial downloads: 304 where nothing changed, never for HEAD; 416 and several ranges at once."""

from tests.hf.wire import Wire

NAME = "acme/adapter"


def test_who_has_the_file_already_is_told_so_but_never_by_head(wire: Wire, cast, store):
    cast.repository(NAME)
    wire.push(NAME, {"notes.md": b"hello"})
    path = f"/{NAME}/resolve/main/notes.md"
    etag = wire.get(path)["ETag"]
    for header in (etag, f'"other", W/{etag}'):
        again = wire.get(path, If_None_Match=header)
        assert (again.status_code, again.content_of(), again["ETag"]) == (304, b"", etag)
        assert again["X-Repo-Commit"]
        head = wire.ask("HEAD", path, If_None_Match=header)
        assert (head.status_code, head["Content-Length"]) == (200, "5")
    assert wire.get(path, If_None_Match='"other"').content_of() == b"hello"


def test_no_byte_in_a_range_is_416_and_several_ranges_are_the_whole_file(wire: Wire, cast, store):
    cast.repository(NAME)
    wire.push(NAME, {"notes.md": b"hello"})
    path = f"/{NAME}/resolve/main/notes.md"
    none = wire.get(path, Range="bytes=5-")
    assert (none.status_code, none["Content-Range"]) == (416, "bytes */5")
    several = wire.get(path, Range="bytes=0-1,3-4")
    assert (several.status_code, several.content_of()) == (200, b"hello")
