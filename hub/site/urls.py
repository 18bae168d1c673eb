"""The website's routes, each with a name; they come last of all, because a person may have almost any name."""

from django.shortcuts import redirect
from django.urls import path
from django.views.decorators.http import require_safe

import features
from hub.passwords import needs_passwords
from hub.shared.list_parameters import ROUTES
from hub.site import panels
from hub.site.account import (
    account_urls,
    avatars,
    device,
    password,
    profile,
    reports,
    restoring,
    standing,
    tokens,
    usage,
)
from hub.site.administration import audit_log, name_rules, quotas
from hub.site.administration.staff import for_administrators
from hub.site.catalogue import bases, catalogue, feeds
from hub.site.docs import docs
from hub.site.files import editing, files, refs_forms, uploading
from hub.site.home import changes, home, language, robots, searching, site_switches, sitemap, status
from hub.site.moderation.urls import MODERATION
from hub.site.organization import (
    namespace,
    organization_robots,
    organization_settings,
    organization_teams,
    organizations,
)
from hub.site.repository import (
    gates,
    new,
    repository,
    repository_security,
    repository_settings,
    share_images,
    sharing,
    use,
)
from hub.site.routing import at, forms
from hub.site.sign_in import organization_links
from hub.site.verdict import verdict
from hub.site.versions import aliases, commits, comparisons, retiring

REPOSITORY = "<repository:address>"
ORGANIZATION = "organizations/<str:ns>/settings"

REPOSITORIES = [
    at(REPOSITORY, repository.repository, "repository"),
    *forms(
        "repository",
        REPOSITORY,
        ("like", sharing.like, "like"),
        ("unlike", sharing.unlike, "unlike"),
        ("ask-access", gates.ask, "ask-access"),
        ("appeal", standing.appeal, "open-appeal"),
    ),
    at(f"{REPOSITORY}/use", use.use, "use"),
    at(f"{REPOSITORY}/share.png", share_images.share_image, "share-image"),
    at(f"{REPOSITORY}/versions.atom", feeds.versions, "versions-feed"),
    at(f"{REPOSITORY}/feed.atom", feeds.versions, "feed"),
    at(f"{REPOSITORY}/security", repository_security.security, "repository-security"),
    at(f"{REPOSITORY}/likers", sharing.likers, "likers"),
    at(f"{REPOSITORY}/access", gates.access, "access"),
    *forms(
        "access",
        f"{REPOSITORY}/access",
        ("gate", gates.set_gate, "set-gate"),
        ("grant", gates.grant, "grant-access"),
        ("requests/<int:number>/accept", gates.accept, "accept-request"),
        ("requests/<int:number>/reject", gates.reject, "reject-request"),
    ),
    at(f"{REPOSITORY}/settings", repository_settings.settings, "repository-settings"),
    at(f"{REPOSITORY}/settings/activity", audit_log.repository_activity, "repository-activity"),
    *forms(
        "repository-settings",
        f"{REPOSITORY}/settings",
        ("visibility", repository_settings.set_visibility, "set-visibility"),
        ("deprecate", retiring.deprecate, "deprecate"),
        ("undeprecate", retiring.undeprecate, "undeprecate"),
        ("archive", retiring.archive, "archive"),
        ("unarchive", retiring.unarchive, "unarchive"),
        ("move", repository_settings.move, "move-repository"),
        ("delete", repository_settings.delete, "delete-repository"),
    ),
    at(f"{REPOSITORY}/tree/<str:rev>", files.tree, "tree"),
    at(f"{REPOSITORY}/tree/<str:rev>/<path:path>", files.tree, "tree"),
    at(f"{REPOSITORY}/blob/<str:rev>/<path:path>", files.blob, "blob"),
    at(f"{REPOSITORY}/upload/<str:rev>", uploading.add_files, "add-files"),
    *forms("add-files", f"{REPOSITORY}/upload/<str:rev>", ("offers", uploading.offers, "upload-offers")),
    at(f"{REPOSITORY}/edit/<str:rev>", editing.new, "new-file"),
    at(f"{REPOSITORY}/edit/<str:rev>/<path:path>", editing.edit, "edit-file"),
    at(f"{REPOSITORY}/rename/<str:rev>/<path:path>", editing.rename, "rename-file"),
    at(f"{REPOSITORY}/delete/<str:rev>/<path:path>", editing.delete, "delete-file"),
    at(f"{REPOSITORY}/commits/<str:rev>", commits.commits, "commits"),
    *forms(
        "commits",
        f"{REPOSITORY}/commits/<str:rev>",
        ("refs/create", refs_forms.create, "create-ref"),
        ("refs/delete", refs_forms.delete, "delete-ref"),
        ("aliases/set", aliases.set_alias, "set-alias"),
        ("aliases/<str:alias>/rollback", aliases.roll_back, "roll-back-alias"),
        ("aliases/<str:alias>/remove", aliases.remove, "remove-alias"),
    ),
    at(f"{REPOSITORY}/commit/<str:rev>", commits.commit, "commit"),
    *forms(
        "commit",
        f"{REPOSITORY}/commit/<str:rev>",
        ("yank", retiring.yank, "yank"),
        ("unyank", retiring.unyank, "unyank"),
    ),
    at(f"{REPOSITORY}/compare/<str:a>...<str:b>", comparisons.compare_versions, "compare-versions"),
    at(f"{REPOSITORY}/verdict/<str:rev>", verdict.verdict, "verdict"),
    *forms(
        "verdict",
        f"{REPOSITORY}/verdict/<str:rev>",
        ("override", verdict.override, "override-regression"),
        ("withdraw-override", verdict.withdraw_override, "withdraw-override"),
    ),
]

SETTINGS = [
    at("settings", profile.settings, "settings"),
    at("settings/profile", profile.profile, "profile"),
    at("settings/password", needs_passwords(password.password), "password"),
    at("settings/reports", reports.own, "own-reports"),
    at("settings/standing", standing.own, "standing"),
    at("settings/appeals/<int:number>", standing.one, "appeal"),
    *forms("appeal", "settings/appeals/<int:number>", ("write", standing.write, "write-appeal")),
    at("settings/organizations", organizations.listed, "organizations"),
    *forms(
        "organizations",
        "settings/organizations",
        ("<str:ns>/accept", organizations.accept, "accept-invitation"),
        ("<str:ns>/decline", organizations.decline, "decline-invitation"),
        ("<str:ns>/leave", organizations.leave, "leave-organization"),
    ),
    *forms(
        "namespace",
        "settings/following/<str:ns>",
        ("", sharing.follow, "follow"),
        ("stop", sharing.unfollow, "unfollow"),
    ),
    at("settings/usage", usage.usage, "usage"),
    at("settings/repositories", restoring.listed, "bin"),
    *forms(
        "bin",
        "settings/repositories",
        ("<int:number>/restore", restoring.restore, "restore"),
        ("<int:number>/delete", restoring.purge, "purge"),
    ),
    at("settings/tokens", tokens.listed, "tokens"),
    *forms("tokens", "settings/tokens", ("<int:token_id>/revoke", tokens.revoke, "revoke-token")),
]

ORGANIZATIONS = [
    at("organizations/new", organizations.new, "new-organization"),
    at(ORGANIZATION, organization_settings.settings, "organization-settings"),
    at(f"{ORGANIZATION}/activity", audit_log.organization_activity, "organization-activity"),
    at(f"{ORGANIZATION}/usage", usage.organization_usage, "organization-usage"),
    *forms(
        "organization-settings",
        ORGANIZATION,
        ("change", organization_settings.change, "change-organization"),
        ("second-factor", organization_settings.require_factor, "require-second-factor"),
        ("role", organization_settings.set_role, "set-role"),
        ("remove", organization_settings.remove_member, "remove-member"),
        ("invite", organization_settings.invite, "invite"),
        ("withdraw", organization_settings.withdraw, "withdraw-invitation"),
        ("rename", organization_settings.rename, "rename-organization"),
        ("delete", organization_settings.delete, "delete-organization"),
    ),
]

TEAMS = [
    at(f"{ORGANIZATION}/teams", organization_teams.listed, "organization-teams"),
    at(f"{ORGANIZATION}/teams/<str:team>", organization_teams.one, "team"),
    *forms(
        "team",
        f"{ORGANIZATION}/teams/<str:team>",
        ("members/add", organization_teams.add_member, "add-team-member"),
        ("members/remove", organization_teams.remove_member, "remove-team-member"),
        ("grants/set", organization_teams.set_grant, "set-team-grant"),
        ("grants/remove", organization_teams.remove_grant, "remove-team-grant"),
        ("delete", organization_teams.delete, "delete-team"),
    ),
]

ORGANIZATION_LINKS = [
    at(f"{ORGANIZATION}/links", organization_links.listed, "organization-links"),
    *forms(
        "organization-links",
        f"{ORGANIZATION}/links",
        ("<int:number>/withdraw", organization_links.withdraw, "withdraw-link"),
    ),
]

ROBOTS = [
    at(f"{ORGANIZATION}/robots", organization_robots.listed, "organization-robots"),
    at(f"{ORGANIZATION}/robots/<str:robot>", organization_robots.one, "robot"),
    *forms(
        "robot",
        f"{ORGANIZATION}/robots/<str:robot>",
        ("remove", organization_robots.remove, "remove-robot"),
        ("tokens/<int:token_id>/revoke", organization_robots.revoke, "revoke-robot-token"),
    ),
]

RECORD = [
    at("moderation/log", audit_log.log, "moderation-log"),
    at("moderation/names", name_rules.listed, "site-names"),
    *forms(
        "site-names", "moderation/names", ("remove", name_rules.remove, "remove-name-rule"), guard=for_administrators
    ),
    at("moderation/quotas", quotas.listed, "site-quotas"),
    at("moderation/site", site_switches.site, "site-switches"),
    *forms(
        "site-switches",
        "moderation/site",
        ("change", site_switches.change, "change-switches"),
        ("banner", site_switches.set_banner, "set-banner"),
        guard=for_administrators,
    ),
]

panels.mounted[:] = features.parts("pages", panels.Pages)
urlpatterns = [
    at("", home.home, "home"),
    *forms("home", "settings/language", ("", language.choose, "set-language")),
    at("adapters", catalogue.catalogue, "adapters", type="model"),
    at("datasets", catalogue.catalogue, "datasets", type="dataset"),
    at("spaces", catalogue.catalogue, "spaces", type="space"),
    at("bases", bases.bases, "bases"),
    *forms(  # a name has two parts at most, so none ends in this
        "base",
        "bases/<path:name>",
        ("-/follow", sharing.follow_base, "follow-base"),
        ("-/unfollow", sharing.unfollow_base, "unfollow-base"),
        ("-/ask", sharing.ask_for_base, "ask-for-base"),
    ),
    at("bases/<path:name>", bases.base, "base"),
    path("status", status.status, name="status"),
    path("docs", docs.index, name="docs"),
    path("docs/<str:name>", docs.one, name="docs-page"),
    at("search", searching.search, "search"),
    at("compare", comparisons.compare, "compare"),
    at("avatars/<str:name>.svg", avatars.avatar, "avatar"),
    at("avatars/<str:name>.webp", avatars.picture, "picture"),
    at("stats/changes", changes.changes, "changes"),
    at("login/device", device.device, "device"),
    *forms(
        "device",
        "login/device",
        ("approve", device.approve, "approve-device"),
        ("deny", device.deny, "deny-device"),
    ),
    at("new", new.new, "new-repository"),
    at("upload", uploading.upload, "upload"),
    *account_urls.urlpatterns,
    at("reports/new", reports.new, "report"),
    *MODERATION,
    *ORGANIZATIONS,
    *TEAMS,
    *ORGANIZATION_LINKS,
    *ROBOTS,
    *RECORD,
    *SETTINGS,
    at("stats", require_safe(lambda request: redirect("status")), "stats"),
    at("feeds/new.atom", feeds.search, "newest-feed", type="model"),
    *(at(f"feeds/{name}.atom", feeds.search, f"{name}-feed", type=type) for type, name in ROUTES.items()),
    path("robots.txt", robots.robots, name="robots"),
    path("favicon.ico", robots.icon, name="favicon"),
    path("sitemap.xml", sitemap.index, name="sitemap"),
    path("feeds/sitemap-<int:number>.xml", sitemap.part, name="sitemap-part"),
    *(route for pages in panels.mounted for route in pages.routes),
    *REPOSITORIES,
    at("<str:ns>", namespace.namespace, "namespace"),
]
