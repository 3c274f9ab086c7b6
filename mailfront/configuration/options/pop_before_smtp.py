"""Options of POP before SMTP, with the original's names."""

from __future__ import annotations

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import Integer, Text

OPTIONS = (
    Option(
        "service.authservicettl",
        Integer(0, 86400, "seconds"),
        "0",
        "How many seconds after a login by POP3 or IMAP over TLS mail from the same IP address may "
        "be sent without AUTH, with a sender address of the user who logged in (900, say). "
        "0: never. Everybody behind one address (NAT) gets that right, so only clients that know "
        "no AUTH are a reason for it; service.popbeforesmtpkludgechannel is needed too.",
    ),
    Option(
        "service.popbeforesmtpkludgechannel",
        Text("name of a channel, or empty"),
        "",
        "The channel of imta.cnf whose rules hold for mail that is sent so: tcp_intranet, for "
        "instance. Empty: nobody sends mail without AUTH.",
    ),
)
