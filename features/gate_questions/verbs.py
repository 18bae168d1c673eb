"""The questions of a gate: read from the card of the newest version, and the answers of a person checked by them.

The keys are those of the Hub (https://huggingface.co/docs/hub/models-gated): `extra_gated_heading`,
`extra_gated_prompt`, `extra_gated_fields` and `extra_gated_button_content`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from registry.kernel.errors import ValueInvalid
from registry.kernel.seams import MOST_EXPORTED, Feature
from registry.kernel.texts import names
from registry.kernel.texts.plain_yaml import Value
from registry.models import AccessRequest, Repository, User
from registry.repos import pull
from registry.repos.contents import stored_facts

KINDS = ("text", "checkbox", "select", "country", "date_picker")
MAX_QUESTIONS, MAX_OPTIONS = 30, 100
MAX_NAME, MAX_ANSWER, MAX_PROMPT = 300, 1000, 20_000  # characters
TRUE, FALSE = frozenset({"on", "true", "1", "yes"}), frozenset({"", "off", "false", "0", "no"})


@dataclass(frozen=True, slots=True)
class Question:
    """A field of the form; `options` are (value, label) of those with a choice."""

    name: str
    kind: str
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Questions:
    """Everything that a card says of its gate; texts are "" where it says nothing."""

    heading: str = ""
    prompt: str = ""
    button: str = ""
    fields: tuple[Question, ...] = ()


@cache
def countries() -> tuple[tuple[str, str], ...]:
    """Return (code, English name) of each country of ISO 3166-1, by name."""
    lines = Path(__file__).with_name("countries.txt").read_text().splitlines()
    return tuple((line[:2], line[3:]) for line in lines)


def questions_of(repository: Repository) -> Questions:
    """Return what the card of the newest version of main asks; nothing of one that is held back.

    Raises StoreUnavailable where its facts are no row yet and the store does not answer.
    """
    revision = pull.resolve(repository, "main")
    if revision.is_quarantined or revision.is_expired:
        return Questions()
    card = stored_facts.revision_facts(revision, pull.entries(revision)).card.data
    heading, prompt, button = (
        _text(card.get(f"extra_gated_{key}"), most)
        for key, most in (("heading", MAX_NAME), ("prompt", MAX_PROMPT), ("button_content", MAX_NAME))
    )
    return Questions(heading, prompt, button, tuple(_fields(card.get("extra_gated_fields"))))


def _fields(stated: Value) -> Iterator[Question]:
    """Yield the fields of a kind that is known; the Hub finds `ip_location` by itself, so nobody is asked for it."""
    for name, value in list(stated.items() if isinstance(stated, dict) else ())[:MAX_QUESTIONS]:
        form = value if isinstance(value, dict) else {"type": value}
        kind, options = form.get("type"), tuple(_options(form.get("options")))
        if kind not in KINDS or (kind == "select" and not options):
            continue
        yield Question(name[:MAX_NAME], str(kind), countries() if kind == "country" else options)


def _options(stated: Value) -> Iterator[tuple[str, str]]:
    """Yield (value, label) of the options: a text each, or a mapping with both."""
    for option in (stated if isinstance(stated, list) else [])[:MAX_OPTIONS]:
        form = option if isinstance(option, dict) else {"label": option}
        label = _text(form.get("label", form.get("value")), MAX_NAME)
        if label:
            yield _text(form.get("value"), MAX_NAME) or label, label


def _text(value: Value, most: int) -> str:
    is_text = isinstance(value, str | int | float) and not isinstance(value, bool)
    return str(value).strip()[:most] if is_text else ""


def check_answers(repository: Repository, given: Mapping[str, object]) -> dict[str, object]:
    """Return the answers (name → text, True of a checkbox) as they are kept; others than those asked for are left out.

    Every question needs one, as on the Hub. Raises ValueInvalid, which names the first that lacks a good answer,
    and what `questions_of` raises.
    """
    return {one.name: _checked(one, given.get(one.name, "")) for one in questions_of(repository).fields}


def _checked(question: Question, value: object) -> object:
    where = f"The answer to {question.name!r}"
    if isinstance(value, bool):
        value = "true" if value else ""
    if not isinstance(value, str):
        raise ValueInvalid(f"{where} is not a text.", field="answers", fix="Send a JSON string, or true.")
    value = names.check_text(value, f"answer to {question.name!r}", MAX_ANSWER, "answers").strip()
    if question.kind == "checkbox":
        if value.lower() in TRUE:
            return True
        wrong = "is not true or false" if value.lower() not in FALSE else "is missing"
        raise ValueInvalid(f"{where} {wrong}.", field="answers", fix="Its owner asks everybody to agree: tick it.")
    if not value:
        raise ValueInvalid(f"{where} is missing.", field="answers", fix="Answer every question of the form.")
    if question.options and value not in {option for option, _label in question.options}:
        known = ", ".join(option for option, _label in question.options[:5])
        raise ValueInvalid(f"{where} is none of its options.", field="answers", fix=f"Use one of {known} …")
    if question.kind == "date_picker":
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            raise ValueInvalid(f"{where} is not a date.", field="answers", fix="Write it as 2026-12-31.") from None
    return value


def _of_person(user: User) -> Iterator[tuple[str, Iterable[object]]]:
    rows = AccessRequest.objects.filter(user=user).select_related("repository__namespace")[:MOST_EXPORTED]
    documents = (
        {"repository": row.repository.full_name, "status": row.status, "text": row.text}
        | {"answers": row.answers, "at": row.at}
        for row in rows
    )
    yield "access-requests", documents


FEATURE = Feature(check_answers=check_answers, personal_data=_of_person)
