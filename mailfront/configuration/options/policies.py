"""Options of standing policies: MTA-STS (of others and our own), TLS reports, DKIM signatures."""

from __future__ import annotations

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import Boolean, Choice, Integer, Names, Text
from mailfront.configuration.options.common import PORT

OPTIONS = (
    Option(
        "mtasts.enable",
        Boolean(),
        "yes",
        "Whether the MTA-STS policies of other domains are fetched and kept to (RFC 8461).",
    ),
    Option(
        "mtasts.publicauthorities",
        Boolean(),
        "no",
        "Whether hosts of policies are also believed by certificates of the public authorities "
        "that this machine knows. No: only of those that the certificate database trusts for "
        "servers, which are the public ones too unless removed: `mailfront init` put them there.",
    ),
    Option(
        "mtasts.timeout",
        Integer(1, 60, "seconds"),
        "30",
        "How long the host of a policy has to deliver it; a message waits for that once.",
    ),
    Option(
        "mtasts.port",
        PORT,
        "443",
        "Port of the hosts of policies. There is no other than 443 (RFC 8461 section 3.3), except "
        "for trying things out.",
    ),
    Option(
        "tlsreport.enable",
        Boolean(),
        "no",
        "Whether the domains that ask for it by a record at _smtp._tls are told each day how TLS "
        "with their servers went (RFC 8460).",
    ),
    Option(
        "tlsreport.contact",
        Text("mail address, or empty"),
        "",
        "From whom reports come, and whom their readers may ask. Empty: postmaster in "
        "service.defaultdomain.",
    ),
    Option(
        "tlsreport.organization",
        Text(),
        "",
        "The name of the organization in reports. Empty: service.defaultdomain.",
    ),
    Option(
        "tlsreport.exclude",
        Names(),
        "",
        "Domains that are never reported to.",
    ),
    Option(
        "tlsreport.delay",
        Integer(0, 240, "minutes"),
        "240",
        "Reports leave at a random moment of so many minutes after the end of the day (in UTC), so "
        "that not all servers of the world send theirs at once.",
    ),
    Option(
        "dkim.selectors",
        Names(),
        "",
        "The keys by which mail to other domains is signed, each as DOMAIN:SELECTOR; those of one "
        "domain sign together. `mailfront dkim create` makes them, `mailfront dkim record` prints "
        "what has to be in the DNS before they are named here.",
    ),
)

PUBLISHED = (
    Option(
        "service.http.mtasts.mode",
        Choice(("testing", "enforce", "none"), may_be_empty=True),
        "",
        "The mode of the MTA-STS policy that HTTPS serves for our own domains at "
        "https://mta-sts.DOMAIN/.well-known/mta-sts.txt (RFC 8461). Empty: none is served. Begin "
        "with testing; to withdraw a policy, serve none until the former max_age is over.",
    ),
    Option(
        "service.http.mtasts.maxage",
        Integer(0, 31_557_600, "seconds"),
        "604800",
        "For how long other servers keep to the policy that they have fetched.",
    ),
    Option(
        "service.http.mtasts.mx",
        Names(),
        "",
        "The names of the servers that the policy allows: those in the domain's MX records; a "
        "first label * stands for any one. Empty: service.hostname.",
    ),
    Option(
        "service.http.mtasts.domains",
        Names(),
        "",
        "The domains that the policy is served for. Empty: service.defaultdomain.",
    ),
)
"""What the HTTPS service publishes of our own domains."""
