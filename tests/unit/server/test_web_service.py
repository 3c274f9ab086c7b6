"""The HTTPS service out of the options."""

from __future__ import annotations

import ssl
from ipaddress import ip_network

from mailfront.configuration.msg_conf import Configuration
from mailfront.server.web_service import passes_on, proxy_settings, web_upstreams

BEHIND = {"service.http.upstream": "http://127.0.0.1:8080"}


def test_the_webmail_is_ours_unless_one_behind_is_named() -> None:
    assert not passes_on(Configuration.of({}))
    assert web_upstreams(Configuration.of({}), ssl.create_default_context) is None
    assert passes_on(Configuration.of(BEHIND))
    assert web_upstreams(Configuration.of(BEHIND), ssl.create_default_context) is not None


def test_options_reach_the_proxy_in_its_units() -> None:
    configuration = Configuration.of(
        {
            **BEHIND,
            "service.http.upstreampaths": "/mail,/dav",
            "service.http.hostnames": "mail.example.test",
            "service.http.forwardedfrom": "10.0.0.0/8",
            "service.http.bodylimit": "2",
            "service.http.certuserheader": "",
        }
    )
    settings = proxy_settings(configuration, keeps_status=True)
    assert settings.paths == ("/mail", "/dav")
    assert settings.hosts == {"mail.example.test"}
    assert settings.balancers == (ip_network("10.0.0.0/8"),)
    assert settings.body_limit == 2 * 1024 * 1024
    assert settings.user_header == ""
    assert settings.keeps_status
