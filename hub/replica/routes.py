"""The routes, by name, whose reads may go to a replica: pages, lists, searches, facets and feeds.

Files and their metadata (resolve, Xet, S3, OCI, info), tokens, settings, moderation, and what is asked again and again
until something is there (verdicts, jobs) are read from the primary.
"""

PAGES = frozenset({
    "home", "adapters", "datasets", "spaces", "bases", "base", "namespace", "collections", "collection", "transparency",
    "leaderboards", "leaderboard",
    "repository", "search", "likers", "tree", "blob", "commits", "commit", "discussions", "discussion", "merge-preview",
    "releases", "release", "repository-security",
})  # fmt: skip
FEEDS = frozenset({
    "adapters-feed", "datasets-feed", "spaces-feed", "versions-feed", "releases-feed", "changes", "sitemap",
    "sitemap-part",
})  # fmt: skip
REST = frozenset({
    "rest-adapters", "rest-adapter", "rest-aliases", "rest-bases", "rest-base", "rest-base-adapters", "rest-changes",
    "rest-downloads", "rest-leaderboard", "rest-lineage", "rest-organization", "rest-releases", "rest-revisions",
    "rest-search", "rest-transparency", "rest-weights",
})  # fmt: skip
HUB = frozenset({
    "hf:collections", "hf:commits", "hf:discussions", "hf:followers", "hf:following", "hf:likers", "hf:likes",
    "hf:models-tags-by-type", "hf:datasets-tags-by-type", "hf:repositories", "hf:user-overview",
})  # fmt: skip
ROUTES = PAGES | FEEDS | REST | HUB
