"""The page of a repository's lineage: two trees of what was made, and lists of what holds or names it."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hub.shared import lineage as lineages
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.repository.repository_pages import repository_page
from registry.models import Repository
from registry.publish.made.lineage import TAGS, Step, Steps


@dataclass(frozen=True, slots=True)
class Node:
    """A repository in a tree, the method of the step that leads to it, and the nodes below it."""

    repository: Repository
    method: str
    below: list["Node"]


@repository_page
def lineage(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    found = lineages.read(header.repository, header.entries, header.by)
    tag = TAGS.get(header.repository.type)
    shown = {
        "header": header,
        "tab": "lineage",
        "found": found,
        "sources": _tree(found.made_from, header.repository, attrgetter("result"), attrgetter("source")),
        "results": _tree(found.made_of_it, header.repository, attrgetter("source"), attrgetter("result")),
        "tag": f"{tag}:{header.repository.full_name}" if tag else "",
    }
    return render(request, "site/lineage.html", shown)


def _tree(
    steps: Steps, root: Repository, near: Callable[[Step], Repository], far: Callable[[Step], Repository]
) -> list[Node]:
    """Return the nodes next to the root; each step hangs below the node that it begins at."""
    below = defaultdict(list)
    for step in steps.items:
        below[near(step).pk].append(step)

    def nodes(of: int) -> list[Node]:
        return [Node(far(step), step.method, nodes(far(step).pk)) for step in below[of]]

    return nodes(root.pk)
