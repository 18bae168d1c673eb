"""The words of states and kinds that pages show, and those of their scripts, in the language of the page.

Refusals and what workers wrote stay English: `english` says so where another language is around them.
"""

import re

from django.utils.functional import Promise
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext, gettext_noop, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from hub.site import panels
from registry.models import Case

WORDS: dict[str, str | Promise] = {
    # repositories
    "adapter": _("adapter"),
    "model": _("model"),
    "dataset": _("dataset"),
    "space": _("space"),
    # verdicts, checks and jobs
    "queued": _("queued"),
    "running": _("running"),
    "passed": _("passed"),
    "failed": _("failed"),
    "errored": _("errored"),
    "warned": _("warned"),
    "skipped": _("skipped"),
    "done": _("done"),
    "refused": _("refused"),
    "expired": _("expired"),
    "waiting": _("waiting"),
    # discussions, requests and appeals
    "open": _("open"),
    "draft": _("draft"),
    "closed": _("closed"),
    "merged": _("merged"),
    "pending": _("pending"),
    "accepted": _("accepted"),
    "approved": _("approved"),
    "rejected": _("rejected"),
    # changes of files
    "added": _("added"),
    "removed": _("removed"),
    "changed": _("changed"),
    "renamed": _("renamed"),
    # moves of aliases
    "set": _("set"),
    "rollback": _("rollback"),
    "remove": _("remove"),
    "fallback": _("fallback"),
    "return": _("return"),
    "rewrite": _("rewrite"),
    # banners, and what a person watches
    "information": _("information"),
    "warning": _("warning"),
    "outage": _("outage"),
    "releases": _("releases"),
    "all": _("all"),
    "ignore": _("ignore"),
    # comparisons, and what serves an adapter
    "base": _("base"),
    "guess": _("guess"),
    "better": _("better"),
    "equal": _("equal"),
    "worse": _("worse"),
    "incomparable": _("incomparable"),
    "serves": _("serves"),
    "refuses": _("refuses"),
    "wrong": _("wrong"),
    "unknown": _("unknown"),
    # several of a kind
    "adapters": _("adapters"),
    "models": _("models"),
    "datasets": _("datasets"),
    "spaces": _("spaces"),
    # refs and messages
    "branch": _("branch"),
    "tag": _("tag"),
    "sent": _("sent"),
    # the pages of a repository
    "overview": _("overview"),
    "files": _("files"),
    "versions": _("versions"),
    "evaluation": _("evaluation"),
    "try": _("try"),
    "use": _("use"),
    "security": _("security"),
    "lineage": _("lineage"),
    "discussions": _("discussions"),
    "access": _("access"),
    "likers": _("likers"),
    "settings": _("settings"),
    # filters of cases
    "state": _("state"),
    "severity": _("severity"),
    "source": _("source"),
    "reason": _("reason"),
    "target": _("target"),
    "sort": _("sort"),
    # states, reasons and targets of cases
    "late": _("late"),
    "mine": _("mine"),
    "claimed": _("claimed"),
    **{text: _(text) for reason in Case.Reason for text in (reason.value, reason.label)},
    "revision": _("revision"),
    "file": _("file"),
    "discussion": _("discussion"),
    "comment": _("comment"),
    "person": _("person"),
    "organization": _("organization"),
    # versions that a rule keeps
    "in use": _("in use"),
    "newest": pgettext_lazy("versions", "newest"),
    "pull request": _("pull request"),
    "named": _("named"),
    "young": _("young"),
    # labels of cases, which registry.models names in English
    "No action": _("No action"),
    "Warned": _("Warned"),
    "Comment hidden": _("Comment hidden"),
    "Version quarantined": _("Version quarantined"),
    "Quarantined as a whole": _("Quarantined as a whole"),
    "Taken down for good": _("Taken down for good"),
    "Person suspended": _("Person suspended"),
}

TASKS: dict[str, Promise] = {
    "automatic-speech-recognition": _("automatic speech recognition"),
    "feature-extraction": _("feature extraction"),
    "fill-mask": _("fill mask"),
    "image-classification": _("image classification"),
    "image-to-text": _("image to text"),
    "question-answering": _("question answering"),
    "sentence-similarity": _("sentence similarity"),
    "summarization": _("summarization"),
    "text-classification": _("text classification"),
    "text-generation": _("text generation"),
    "text-to-image": _("text to image"),
    "text2text-generation": _("text2text generation"),
    "token-classification": _("token classification"),
    "translation": _("translation"),
}

DELETE_LABELS: dict[str, str | Promise] = {
    "adapter": _("Delete this adapter"),
    "model": _("Delete this model"),
    "dataset": _("Delete this dataset"),
    "space": _("Delete this space"),
}

SCRIPTS = {
    "dovetail": (
        gettext_noop("system"),
        gettext_noop("dark"),
        gettext_noop("light"),
        gettext_noop("Copied"),
        gettext_noop("Cancelled, or no passkey for this site was found."),
    ),
}


def in_words(value: str) -> str:
    """Return the word for a state or a kind in the language of the page, or the value itself if there is none."""
    return str(WORDS.get(value, value))


def task_name(task: str) -> str:
    """Return a task as people say it: `text-classification` as text classification; one that few have, in English."""
    return str(TASKS.get(task) or task.replace("-", " "))


def ticks(sentence: str) -> SafeString:
    """Return a sentence with its `commands` set as code; everything in it is escaped first."""
    return mark_safe(re.sub(r"`([^`]{1,200})`", r"<code>\1</code>", conditional_escape(sentence)))  # noqa: S308  # escaped first


def english(sentence: str | None) -> SafeString:
    """Return an English sentence with its `commands` set as code, marked as English on pages in other languages.

    Readers aloud and hyphenation go by the mark; so does the place of its full stop on pages from right to left.
    """
    html = ticks(sentence or "")
    is_marked = html and not (get_language() or "en").startswith("en")
    return format_html('<span lang="en" dir="ltr">{}</span>', html) if is_marked else html


def script_texts() -> dict[str, tuple[str, ...]]:
    """Return the English texts that each script shows, those of features too."""
    return SCRIPTS | {name: texts for pages in panels.mounted for name, texts in pages.scripts.items()}


def of_script(name: str) -> dict[str, str]:
    """Return the texts of a script that are not the English ones that it has, by those."""
    return {text: gettext(text) for text in script_texts()[name] if gettext(text) != text}
