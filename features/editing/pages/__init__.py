"""The pages on which files are changed, the ways there from pages of the core, and the button that mends a finding."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from features.editing.pages import edits, fixes, new_adapter, uploads
from features.editing.pages.commits import may_change
from hub.site.panels import Link, Pages, Panel
from hub.site.routing import at, forms

REPOSITORY = "<repository:address>"


def _of_branch(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    return {} if may_change(page["header"]) else None


def _of_file(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    header = page["header"]
    return {} if page["entry"].path in header.entries and may_change(header) else None


def _of_writers(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    return {} if page["header"].may_write else None


def _of_card(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    header = page["header"]
    return {} if header.may_write and header.rev == "main" and not header.repository.source else None


PAGES = Pages(
    routes=[
        at("new", new_adapter.new_repository, "new-repository"),
        at("upload", new_adapter.upload, "upload"),
        *forms("upload", "upload", ("files", new_adapter.upload_file, "upload-file")),
        *forms("upload", "upload", ("fix", new_adapter.fix_draft, "fix-draft")),
        at(f"{REPOSITORY}/upload/<str:rev>", uploads.add_files, "add-files"),
        *forms("add-files", f"{REPOSITORY}/upload/<str:rev>", ("offers", uploads.upload_offers, "upload-offers")),
        at(f"{REPOSITORY}/edit/<str:rev>", edits.new_file, "new-file"),
        at(f"{REPOSITORY}/edit/<str:rev>/<path:path>", edits.edit_file, "edit-file"),
        at(f"{REPOSITORY}/rename/<str:rev>/<path:path>", edits.rename_file, "rename-file"),
        at(f"{REPOSITORY}/delete/<str:rev>/<path:path>", edits.delete_file, "delete-file"),
        *fixes.ROUTES,
    ],
    links=(
        Link("upload", "upload", _("Upload an adapter"), words="new create push publish"),
        Link("create", "new-repository", _("New adapter")),
    ),
    panels=(
        Panel("files-head", "editing/upload_scripts.html", _of_branch),
        Panel("files", "editing/files.html", _of_branch),
        Panel("files-drop", "editing/files_drop.html", _of_branch),
        Panel("file", "editing/file.html", _of_file),
        Panel("empty-head", "editing/upload_scripts.html", _of_writers),
        Panel("empty", "editing/add_form.html"),
        Panel("card", "editing/card.html", _of_card),
        *fixes.PANELS,
    ),
    scripts={
        "upload": (
            gettext_noop("{name} cannot be read: {problem}"),
            gettext_noop("This browser cannot hash files here."),
            gettext_noop("the connection broke"),
            gettext_noop("The hub refused the upload (status {status}). Choose the files again."),
            gettext_noop("The hub answered {status}. Reload the page."),
            gettext_noop("reading"),
            gettext_noop("sending"),
            gettext_noop("trying again"),
            gettext_noop("sent"),
            gettext_noop("here already"),
            gettext_noop("stopped"),
            gettext_noop("{n} file, {size}"),
            gettext_noop("{n} files, {size}"),
            gettext_noop("{n} of {files}"),
            gettext_noop("Progress of {name}"),
            gettext_noop("Remove"),
            gettext_noop("Remove {name}"),
            gettext_noop("Choose a folder, files, or a zip first."),
            gettext_noop("Checking …"),
            gettext_noop("The upload stopped: {problem}. Press the button to resume; what was already sent is kept."),
        )
    },
)
