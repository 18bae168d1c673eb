"""Template tags for the start of a serving engine with a version."""

from django import template
from django.template.context import Context

from dovetail.adapters.results.report import Content
from dovetail.serve.server_start import has_parts, part_of, start
from hub.addresses import origin
from hub.site.proof import ENGINE_TITLES, Served
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.repository.snippets import target_of

register = template.Library()


@register.simple_tag(takes_context=True)
def start_commands(context: Context, header: RepositoryHeader, line: Served) -> str:
    """Return the commands that start an engine with the version of a page, one a line; "" where it does not serve.

    Also "" for several adapters, each of which has its own.
    """
    if header.proof and has_parts(header.proof.report):
        return ""
    return "\n".join(start(line.answer, target_of(header, origin(context["request"]))).commands)


@register.simple_tag(takes_context=True)
def part_commands(context: Context, header: RepositoryHeader, content: Content) -> list[tuple[str, str]]:
    """Return the title of each engine that serves one of several adapters, and the commands that start it, by line."""
    target = part_of(content, target_of(header, origin(context["request"])))
    starts = [(answer.engine, start(answer, target).commands) for answer in content.serving or ()]
    return [(ENGINE_TITLES.get(engine, engine), "\n".join(commands)) for engine, commands in starts]
