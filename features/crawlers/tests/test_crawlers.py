"""The site map and the rules for crawlers."""

from xml.etree import ElementTree

from django.conf import settings

from registry.models import Repository

MAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


def test_the_site_map_lists_public_repositories(visit, cast, reviews, secret):
    assert f"Sitemap: {settings.PUBLIC_URL}/sitemap.xml" in visit().get("/robots.txt").content.decode()
    index = ElementTree.fromstring(visit().get("/sitemap.xml").content)
    section = index.findtext(f"{MAP}sitemap/{MAP}loc").removeprefix(settings.PUBLIC_URL)
    places = ElementTree.fromstring(visit("alice").get(section).content).findall(f"{MAP}url/{MAP}loc")
    assert [place.text for place in places] == [f"{settings.PUBLIC_URL}/alice/reviews"]
    Repository.objects.filter(pk=reviews.pk).update(is_main_held=True)  # in no list, so not here either
    assert not list(ElementTree.fromstring(visit().get(section).content))


def test_a_part_that_cannot_be_is_missing(visit, db):
    assert visit().get("/feeds/sitemap-99999999999.xml").status_code == 404
    assert visit().get("/feeds/sitemap-7.xml").status_code == 200
