"""Settings of the site: choices, first values, and how processes follow."""

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from hub.environment import Environment, one_of
from registry.kernel import site_settings
from registry.kernel.errors import ValueInvalid
from registry.models import AuditEvent, SiteSetting


@pytest.fixture(autouse=True)
def _anew(db):
    yield
    site_settings.clear_cache()


def test_a_setting_begins_with_what_the_environment_says(settings):
    settings.FIRST_PULL_POLICY = "verified"
    assert site_settings.get_setting("pull_policy") == "verified"


def test_a_change_is_in_force_at_once_and_in_the_log(cast):
    assert site_settings.change_setting("pull_policy", "verified", cast["ada"])
    assert site_settings.get_setting("pull_policy") == "verified"
    assert not site_settings.change_setting("pull_policy", "verified", cast["ada"])
    [event] = AuditEvent.objects.filter(action="site:change")
    assert (event.actor, event.object, event.before, event.after) == ("ada", "pull_policy", "open", "verified")


def test_a_running_process_follows_what_another_one_changed(monkeypatch):
    assert site_settings.get_setting("throttle") == "on"
    SiteSetting.objects.create(name="throttle", value="off")
    assert site_settings.get_setting("throttle") == "on"
    monkeypatch.setattr(site_settings, "FOLLOW_SECONDS", 0.0)
    assert site_settings.get_setting("throttle") == "off"
    assert 0 < 5.0 <= 10


@pytest.mark.parametrize(("name", "value"), [("pull_policy", "maybe"), ("colour", "blue"), ("throttle", "")])
def test_what_no_setting_can_be_is_refused(name, value):
    with pytest.raises(ValueInvalid) as refusal:
        site_settings.change_setting(name, value, None)
    assert refusal.value.fix
    assert not SiteSetting.objects.exists()


def test_reading_a_setting_costs_one_query_in_a_while(django_assert_num_queries):
    site_settings.clear_cache()
    with django_assert_num_queries(1):
        assert {site_settings.get_setting(name) for name in site_settings.CHOICES} == {
            "open",
            "accounts",
            "optional",
            "on",
            "off",
            "public",
            "30",
            "24",
        }


def test_the_environment_cannot_give_a_value_that_the_site_does_not_know():
    for name, choices in site_settings.CHOICES.items():
        env = Environment({f"DOVETAIL_{name.upper()}": "mayby"})
        with pytest.raises(ImproperlyConfigured, match=f"DOVETAIL_{name.upper()} must be one of .*, not 'mayby'"):
            env(name.upper(), one_of(*choices))
    assert all(getattr(settings, f"FIRST_{name.upper()}") in choices for name, choices in site_settings.CHOICES.items())
