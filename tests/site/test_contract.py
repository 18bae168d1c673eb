"""Each address that was promised to people, programs and links elsewhere answers, or leads to what took its place."""

from features import FEATURES
from tests.sweep import sweep

PUBLIC = """
/ /adapters /bases /bases/sentence-transformers/all-MiniLM-L6-v2 /datasets /docs /docs/ /docs/checks /alice
/alice/reviews /alice/reviews/tree/main /alice/reviews/blob/main/README.md /alice/reviews/commits/main
/alice/reviews/commit/main /alice/reviews/verdict/main /alice/reviews/security
/datasets/alice/rows /datasets/alice/rows/tree/main /join /login /feeds/new.atom /alice/reviews/feed.atom
/alice/reviews/versions.atom /search /search?q=reviews
"""
OWN = """
/settings /settings/profile /settings/account /settings/security /settings/tokens /settings/organizations
/settings/usage /settings/repositories /organizations/new /organizations/acme/settings /alice/reviews/settings
/alice/reviews/access
"""
OF_WRITERS = {"editing": "/alice/reviews/upload/main /alice/reviews/edit/main/README.md"}
OF_FEATURES = {
    "administration": "/admin/",
    "audit_log": "/moderation/log",
    "crawlers": "/sitemap.xml /robots.txt",
    "collections": "/collections",
    "compare": "/compare?ids=alice/reviews,bob/other /compare?ids=alice/reviews&ids=bob/other "
    "/leaderboards /leaderboards/text-classification",
    "derived": "/alice/reviews/lineage",
    "discussions": "/alice/reviews/discussions",
    "editing": "/new /upload",
    "moderation": "/moderation /moderation/ /moderation/appeals /moderation/reporters",
    "notify": "/settings/notifications",
    "renewal": "/stats/changes",
    "releases": "/alice/reviews/releases",
    "saved_searches": "/settings/searches",
    "status": "/status /stats",
    "tries": "/alice/reviews/try",
    "use": "/alice/reviews/use",
    "webhooks": "/settings/webhooks",
}


@sweep(
    "who, address",
    [
        *(("anonymous", address) for address in PUBLIC.split()),
        *(("alice", address) for address in OWN.split()),
        *(("alice", address) for name, all_of in OF_WRITERS.items() if name in FEATURES for address in all_of.split()),
        *(("ada", address) for name, all_of in OF_FEATURES.items() if name in FEATURES for address in all_of.split()),
    ],
)
def test_a_promised_address_answers_or_leads_on(visit, cast, reviews, who, address):
    cast.repository("bob/other", by="bob")
    cast.repository("alice/rows", type="dataset")
    assert visit(who).get(address, follow=True).status_code == 200
