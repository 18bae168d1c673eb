"""An adapter's tokenizer is held against its base's, token by token, in every form in which a vocabulary is saved."""

import json
import random

import pytest

from tests.adapters import facts_of, lora, with_file, write
from tests.engine.test_protocol import check_of
from tests.engine.test_saboteurs import failures
from tests.sweep import at_merge


@pytest.fixture(scope="module")
def words(bases):
    return json.loads((bases / "bert" / "tokenizer.json").read_text())["model"]["vocab"]


def tokenizer(vocabulary, added=()):
    entries = [{"id": number, "content": text} for text, number in added]
    return json.dumps({"added_tokens": entries, "model": {"type": "WordLevel", "vocab": vocabulary}}).encode()


def of_lines(vocabulary):
    return "".join(f"{text}\n" for text in sorted(vocabulary, key=vocabulary.get)).encode()


def field(number, data):
    size, head = len(data), b""
    while size > 127:
        head, size = head + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + head + bytes([size]) + data


def of_pieces(vocabulary):
    """A model of SentencePiece: pieces with text, score and type, and the trainer's settings behind them."""
    ordered = sorted(vocabulary, key=vocabulary.get)
    pieces = [field(1, field(1, text.encode()) + b"\x15\x00\x00\x80\xbf\x18\x01") for text in ordered]
    return b"".join(pieces) + field(2, b"\x18\x00")


FORMS = {
    "tokenizer.json": tokenizer,
    "vocab.json": lambda words: json.dumps(words).encode(),
    "vocab.txt": of_lines,
    "tokenizer.model": of_pieces,
    "spiece.model": of_pieces,
}


def asked(engine, folder, files):
    verdict = engine.validate(write(files, folder), facts_of(files))
    return failures(verdict), check_of(verdict, "base.vocabulary")


@pytest.mark.parametrize("name", FORMS)
def test_a_vocabulary_is_the_bases_or_has_other_ids_or_ids_without_a_row(bert, tmp_path, words, name):
    form = FORMS[name]
    moved = dict(zip(words, random.Random(3).sample(range(len(words)), len(words)), strict=True))
    swapped = words | {"film": words["book"], "book": words["film"]}
    larger = {**words, **{f"piece{at}": len(words) + at for at in range(60)}}
    strange = {f"w{at}": at for at in range(40)}
    for what, vocabulary, failed, said in (
        ("same", words, [], "It uses the vocabulary of the base"),
        ("moved", moved, [], "of 50 tokens have other ids"),
        ("swapped", swapped, [], "2 of 50 tokens have other ids ('"),
        ("strange", strange, [], " of 40 tokens have other ids"),
        ("larger", larger, ["base.vocabulary"], "the embeddings end at 63"),
    ):
        found, check = asked(bert, tmp_path / what, with_file(name, form(vocabulary))(lora()))
        said = said.replace("of 50", f"of {len(words)}")
        assert (found, check["outcome"]) == (failed, "failed" if failed else "passed" if what == "same" else "warned")
        assert said in check["message"], (name, what, check["message"])


def test_pieces_that_are_numbered_from_one_are_the_bases(bert, tmp_path, words):
    """As XLM-R's: its tokenizer counts one on the pieces of SentencePiece."""
    ordered = sorted(words, key=words.get)[1:]
    files = with_file("sentencepiece.bpe.model", of_pieces({text: at for at, text in enumerate(ordered)}))(lora())
    assert asked(bert, tmp_path, files)[1]["outcome"] == "passed"


def test_added_tokens_beside_the_bases_vocabulary_are_judged_as_before(bert, tmp_path, words):
    files = with_file("tokenizer.json", tokenizer(words, [("<new>", 63)]))(lora())
    assert asked(bert, tmp_path / "within", files)[0] == []
    files = with_file("tokenizer.json", tokenizer(words, [("<new>", 64)]))(lora())
    assert asked(bert, tmp_path / "beyond", files)[0] == ["base.vocabulary"]
    files = with_file("added_tokens.json", b'{"<new>": 64}')(with_file("vocab.txt", of_lines(words))(lora()))
    assert asked(bert, tmp_path / "slow", files)[0] == ["base.vocabulary"]


@pytest.mark.parametrize(
    "data",
    [
        b'{"model": {"vocab": [[1], 2, "x"]}}',
        b"\xff" * 99,
        b'{"model": {"vocab": {"a": ' + b"9" * 5000 + b"}}}",
        *at_merge(
            b"",
            b"{}",
            b"[" * 9000,
            b'{"model": {"vocab": {"a": -1, "b": 1.5}}}',
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ),
    ],
)
def test_files_that_are_no_vocabulary_are_never_our_crash(bert, tmp_path, data):
    for name in FORMS:
        found, _ = asked(bert, tmp_path / name, with_file(name, data)(lora()))
        assert found in ([], ["base.vocabulary"]), (name, found)
