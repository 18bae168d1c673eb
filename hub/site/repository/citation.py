"""The BibTeX entry of one version of a repository."""

import re

from hub.site.repository.repository_header import RepositoryHeader
from registry.models import Organization, User
from registry.sql.prepared import Prepared

TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    sign: f"\\{sign}" for sign in "&%$#_{}"
}


def bibtex(header: RepositoryHeader, address: str) -> str:
    """Return the entry of the version of a header, whose page has this address; its owner is the author."""
    repository, revision = header.repository, header.revision
    key = re.sub(r"[^A-Za-z0-9-]", "-", f"{repository.full_name}-{revision.oid[:7]}")
    base = str(header.described["base"] or "")
    subject = f"{header.noun} for {base}" if base else header.noun
    fields = {
        "author": f"{{{_tex(_owner(repository.namespace_id) or repository.namespace.name)}}}",
        "title": f"{{{_tex(repository.full_name)}}}: {_tex(subject)}",
        "year": str(revision.created_at.year),
        "version": revision.oid,
        "howpublished": f"\\url{{{address}}}",
    }
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@misc{{{key},\n{lines}}}"


def _owner(namespace: int) -> str:
    """Return the full name of the person or the organisation; "" where they gave none."""
    owner = _ORGANIZATION.first(namespace) or _USER.first(namespace)
    return owner[0] if owner else ""


_ORGANIZATION = Prepared(
    lambda namespace: Organization.objects.filter(namespace=namespace).values_list("full_name"), int
)
_USER = Prepared(lambda namespace: User.objects.filter(namespace=namespace).values_list("full_name"), int)


def _tex(text: str) -> str:
    return "".join(TEX.get(letter, letter) for letter in text)
