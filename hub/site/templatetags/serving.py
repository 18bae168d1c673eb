"""Template tags for the start of a serving engine with a version."""

from django import template
from django.template.context import Context

from dovetail.serve.starting import start
from hub.origin import origin
from hub.site.compatibility import Served
from hub.site.repository_header import RepositoryHeader

register = template.Library()


@register.simple_tag(takes_context=True)
def start_commands(context: Context, header: RepositoryHeader, line: Served) -> str:
    """Return the commands that start an engine with the version of a page, one a line; "" where it does not serve."""
    return "\n".join(start(line.answer, header.target(origin(context["request"]))).commands)
