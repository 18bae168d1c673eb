"""The words of states and kinds that pages show, in the language of the page."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

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
    # refs, roles and messages
    "branch": _("branch"),
    "tag": _("tag"),
    "read": _("read"),
    "write": _("write"),
    "admin": _("admin"),
    "sent": _("sent"),
    # the pages of a repository
    "card": _("card"),
    "files": _("files"),
    "versions": _("versions"),
    "verdict": _("verdict"),
    "try": _("try"),
    "use": _("use"),
    "security": _("security"),
    "lineage": _("lineage"),
    "discussions": _("discussions"),
    "access": _("access"),
    "likers": _("likers"),
    "settings": _("settings"),
}
