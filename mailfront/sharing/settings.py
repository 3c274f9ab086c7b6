"""The options of the shared store as one value, judged as a whole.

Takes the configuration and the server root's directory; returns `SharingSettings`, or None where
nothing is shared. Raises `ConfigurationError`; no message repeats what is in a secret's file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mailfront.configuration.msg_conf import Configuration
from mailfront.configuration.options.sharing import SHARED
from mailfront.configuration.secret_file import read_secret_file
from mailfront.configuration.shared_store_url import SharedStoreAddress, parse_shared_store
from mailfront.errors import ConfigurationError
from mailfront.interfaces.secret import Secret
from mailfront.sharing.site_secret import SiteSecret, read_site_secret

URL_OPTION = "local.sharedstore.url"
TICKET_OPTION = "local.ssl.ticketkeystore"
THROTTLE_OPTION = "service.throttlestore"


@dataclass(frozen=True, slots=True)
class SharingSettings:
    """Where the store is, what is shared in it; `timeout` in seconds."""

    address: SharedStoreAddress
    password: Secret
    site: SiteSecret
    timeout: float
    ticket_keys: bool
    throttle: bool


def sharing_settings(configuration: Configuration, root: Path) -> SharingSettings | None:
    """Return the settings, or None if nothing is shared. Raises `ConfigurationError`."""
    wanted = [
        option
        for option in (TICKET_OPTION, THROTTLE_OPTION)
        if configuration.string(option) == SHARED
    ]
    if not wanted:
        return None
    address = parse_shared_store(configuration.string(URL_OPTION))
    if address is None:
        raise ConfigurationError(
            f"{wanted[0]} is {SHARED}, but {URL_OPTION} names no store",
            remedy=f"set {URL_OPTION}, such as rediss://redis.example.com:6379",
        )
    password = Secret("")
    if address.user:
        password = read_secret_file(root / configuration.string("local.sharedstore.passfile"))
    return SharingSettings(
        address=address,
        password=password,
        site=read_site_secret(root / configuration.string("local.sharedstore.secretfile")),
        timeout=configuration.integer("local.sharedstore.timeout") / 1000,
        ticket_keys=TICKET_OPTION in wanted,
        throttle=THROTTLE_OPTION in wanted,
    )
