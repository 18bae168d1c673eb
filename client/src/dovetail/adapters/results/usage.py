"""Facts by which a program loads an adapter and tries it: the classes, the head, the tokenizer and one row.

An engine that ran the adapter tells all of it; `usage_facts` reads from the files what they say before that. The answer
to a try is what a base and an adapter make of a text that somebody wrote.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from dovetail.adapters.results.records import SPARSE, Record

MOST_NAMES, LONGEST_NAME, LONGEST_TEXT = 200, 200, 300  # of labels; characters of a name and of a sample

Sense = Literal["text", "ids", "pixel_values", "input_features", "input_values", "other"]


@dataclass(frozen=True, slots=True)
class AdapterUsage(Record):
    """The lines that load a version, and a row to try it on.

    `model` is the auto class of transformers. A head has `labels` outputs, with `names` in their order where they are
    known; `resets_head` says that the base's own head has another number. `rows` is the size that the base's embedding
    needs, 0 for its own. `reads` is the main input of the base, of the `shape` of one row where it is no text; `hears`
    and `sees` say that the base has what makes such input of sound and of pictures. `inputs` are the only ones that the
    base takes of its tokenizer's. `sample` has one text or two; `answer` is what the adapter said to it, where that is
    a label, labels or a number.
    """

    format: str
    kind: str = ""
    place: str = ""
    model: str = "AutoModel"
    labels: float = 0
    names: tuple[str, ...] = ()
    resets_head: bool = False
    rows: float = 0
    virtual_tokens: float = 0
    tokenizer: Literal["base", "adapter", "none"] = "base"
    tokenizer_class: Literal["AutoTokenizer", "PreTrainedTokenizerFast"] = "AutoTokenizer"
    inputs: tuple[str, ...] = ()
    has_chat_template: bool = False
    reads: Sense = "text"
    shape: tuple[float, ...] = ()
    hears: bool = False
    sees: bool = False
    parts: tuple[str, ...] = ()  # the folders of the adapters that a fusion weighs
    file: str | None = field(default=None, metadata=SPARSE)  # the weights of a LoRA for images
    sample: tuple[str, ...] = ()
    answer: str | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class ProgramRun(Record):
    """The outcome of a program of Use when an engine ran it; `sha256` names its text, without the hub's address.

    `printed` is what it wrote, `problem` the last line of its error, or why it was not run.
    """

    key: str
    sha256: str
    outcome: Literal["ran", "failed", "not-run"]
    engine: str = ""
    duration_ms: float = 0
    printed: str = ""
    problem: str = ""


def label_names(numbers: Mapping[str, int], count: int) -> tuple[str, ...]:
    """Return the names of so many labels in their order; () where one is missing, or they are too many or too long."""
    by_number = {number: name for name, number in numbers.items()}
    if not 0 < count <= MOST_NAMES or by_number.keys() != set(range(count)) or len(numbers) != count:
        return ()
    names = tuple(by_number[number] for number in range(count))
    return () if any(len(name) > LONGEST_NAME for name in names) else names


LABELS = 10  # of a classifier, the likeliest first
MAX_MARKS = 200


@dataclass(frozen=True, slots=True)
class Share(Record):
    """A label, as a classifier gives it."""

    label: str
    value: Annotated[float, "its probability; of a head with one output, its value"]


@dataclass(frozen=True, slots=True)
class Mark(Record):
    """A part of the text, with the label that it was given."""

    start: Annotated[float, "of the first character, counted from 0"]
    end: Annotated[float, "after the last character"]
    label: str
    value: Annotated[float, "the label's probability, the least of all words of the mark"]


@dataclass(frozen=True, slots=True)
class Side(Record):
    """The answer of the base, or of the adapter; only what belongs to the task is there."""

    labels: Annotated[tuple[Share, ...], "of a classifier, the likeliest first, ten at most"] = ()
    marks: Annotated[tuple[Mark, ...], "of a token classifier"] = ()
    text: Annotated[str | None, "of a model that writes, or answers questions"] = field(default=None, metadata=SPARSE)
    similarity: Annotated[float | None, "cosine of both texts, of a model for embeddings"] = field(
        default=None, metadata=SPARSE
    )


@dataclass(frozen=True, slots=True)
class Answer(Record):
    """The answers of the base and the adapter."""

    task: Annotated[str, "SEQ_CLS, TOKEN_CLS, CAUSAL_LM, SEQ_2_SEQ_LM, FEATURE_EXTRACTION …"]
    base: Annotated[Side, "the frozen base; of a classifier, with the adapter's own head"]
    adapter: Side
    tokens_read: Annotated[float, "tokens of the texts that were read"] = 0
    tokens: Annotated[float, "tokens that the texts have; those beyond `tokens_read` were cut off"] = 0
    guessed: Annotated[bool, "true: the card names no labels, and their names are a guess"] = False
    moved: Annotated[float | None, "cosine of the base's vector of the text and the adapter's"] = field(
        default=None, metadata=SPARSE
    )
