"""Looking into the files of a revision takes few requests to the store."""

from registry.bytes.blobs import BlobStore, Keys
from registry.repos.contents import facts
from registry.repos.manifest import lfs_entry
from tests.hf.wire import sha256


def test_a_file_that_is_read_byte_by_byte_opens_its_object_once(store: BlobStore, monkeypatch) -> None:
    """Readers of pickles do that, at a push: each opening would be a request to an S3 store."""
    content = bytes(range(256)) * 64
    store.put(Keys.blob(sha256(content)), [content])
    opened, real = [], type(store).open
    monkeypatch.setattr(type(store), "open", lambda self, *span: opened.append(span) or real(self, *span))
    entry = lfs_entry("w.bin", sha256(content), len(content))
    with facts.file_openers({"w.bin": entry})["w.bin"]() as file:
        assert b"".join(iter(lambda: file.read(1), b"")) == content
    assert len(opened) == 1
