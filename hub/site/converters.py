"""Path converters: the repository of an address, as one part of it."""

from dataclasses import dataclass

from django.urls.converters import StringConverter

from registry.models import Repository


@dataclass(frozen=True, slots=True)
class RepositoryAddress:
    """The repository that an address names, which need not exist."""

    type: str  # model, dataset or space
    full_name: str  # namespace/name


class RepositoryConverter:
    """`ns/name` for a model, `datasets/ns/name` and `spaces/ns/name` for the others: the same addresses as on the Hub.

    `reverse` and `{% url %}` take a Repository or a RepositoryAddress.
    """

    regex = "(?:(?:datasets|spaces)/)?[^/]+/[^/]+"

    def to_python(self, value: str) -> RepositoryAddress:
        prefix, _, rest = value.partition("/")
        if "/" in rest:
            return RepositoryAddress(prefix.removesuffix("s"), rest)
        return RepositoryAddress("model", value)

    def to_url(self, value: Repository | RepositoryAddress) -> str:
        return value.full_name if value.type == "model" else f"{value.type}s/{value.full_name}"


class Base36Converter(StringConverter):
    """The id of a person in the link of a letter, which a hyphen ends."""

    regex = "[0-9a-z]+"
