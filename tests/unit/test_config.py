"""Settings: what is missing or dangerous is refused with its name."""

import pytest

from chalicelib import config
from chalicelib.errors import Misconfigured
from tests.support.aws import environment

TABLES = {
    name: name.lower()
    for name in (
        "TOKENS_TABLE",
        "TENANTS_TABLE",
        "LINKS_TABLE",
        "AUTHORIZATION_REQUESTS_TABLE",
        "GRANTS_TABLE",
        "FLEET_TABLE",
        "JOURNAL_TABLE",
    )
}


OPTIONAL = {
    "COMPLETE_FUNCTION",
    "REFRESH_LANE_FUNCTION",
    "INTAKE_FUNCTION",
    "REFRESH_NOW_FUNCTION",
    "GOTO_REVOKE_URL",
    "GOTO_API_URL",
    "GOTO_ADMIN_URL",
    "NEEDED_SCOPES",
}


def test_each_tenant_has_its_redirect_uri() -> None:
    settings = config.load(environment(TABLES))
    expected = "https://acme.analytics.example/admin/settings/activities/"
    assert settings.redirect_uri("acme") == expected


def test_one_host_may_serve_all_tenants() -> None:
    settings = config.load(environment(TABLES, TENANT_ORIGIN="https://goto.example/"))
    assert settings.redirect_uri("acme") == "https://goto.example/admin/settings/activities/"


@pytest.mark.parametrize("name", sorted(set(environment(TABLES)) - OPTIONAL))
def test_a_missing_setting_is_named(name: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        config.load(environment(TABLES, **{name: ""}))


@pytest.mark.parametrize("name", ["TENANT_ORIGIN", "GOTO_TOKEN_URL", "GOTO_API_URL"])
@pytest.mark.parametrize("value", ["http://goto.example", "ftp://goto.example", "goto.example"])
def test_s17_nothing_travels_in_the_clear(name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        config.load(environment(TABLES, **{name: value}))


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "acme.localhost:8000", "[::1]:1"])
def test_s17_the_loopback_interface_may_do_without_tls(host: str) -> None:
    config.load(environment(TABLES, GOTO_TOKEN_URL=f"http://{host}/token"))


def test_an_unknown_client_authentication_is_refused() -> None:
    with pytest.raises(Misconfigured, match="GOTO_CLIENT_AUTH"):
        config.load(environment(TABLES, GOTO_CLIENT_AUTH="post"))


def test_a_path_is_joined_to_the_api_and_the_revocation_address_stays_as_given() -> None:
    given = {"GOTO_API_URL": "https://api.example/", "GOTO_REVOKE_URL": "https://goto.example/r/"}
    settings = config.load(environment(TABLES, **given))
    assert (settings.api_url, settings.revoke_url) == (
        "https://api.example",
        given["GOTO_REVOKE_URL"],
    )


@pytest.mark.parametrize("share", ["9", "68", "0.33", "a third", "-33"])
def test_a_share_that_is_none_is_refused(share: str) -> None:
    with pytest.raises(Misconfigured, match="REFRESH_SHARE"):
        config.load(environment(TABLES, REFRESH_SHARE=share))


def test_a_share_is_given_in_percent() -> None:
    assert config.load(environment(TABLES, REFRESH_SHARE="50")).refresh_share == 0.5
    assert config.load(environment(TABLES)).refresh_share == 0.33


@pytest.mark.parametrize("rate", ["0", "-1", "ten", "1e3", "100001", "٣"])
def test_a_rate_that_is_none_is_refused(rate: str) -> None:
    with pytest.raises(Misconfigured, match="TOKEN_RATE"):
        config.load(environment(TABLES, TOKEN_RATE=rate))


def test_s14_visitors_are_not_known_unless_it_is_said() -> None:
    """S14: a mode that is misspelt is no *off*, and none but *off* goes without a key."""
    assert config.load(environment(TABLES)).visitor_identity == "off"
    given = {"VISITOR_IDENTITY": "required", "VISITOR_KEY": "visitor-key"}
    assert config.load(environment(TABLES, **given)).visitor_identity == "required"
    for wrong, name in (
        ({"VISITOR_IDENTITY": "on"}, "VISITOR_IDENTITY must be"),
        ({"VISITOR_IDENTITY": "optional", "VISITOR_KEY": ""}, "VISITOR_KEY is not set"),
    ):
        with pytest.raises(Misconfigured, match=name):
            config.load(environment(TABLES, **given | wrong))
