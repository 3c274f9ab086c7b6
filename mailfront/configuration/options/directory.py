"""Options of the user directory: where users are looked up, and how."""

from __future__ import annotations

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import Boolean, Choice, Integer, Names, SecretFile, Text

PASSWORD_CHECKS = ("bind", "userpassword")

OPTIONS = (
    Option(
        "local.ugldaphost",
        Names(blanks_divide=True),
        "",
        "The LDAP servers that know the users, best first, divided by commas or blanks: `host`, "
        "`host:port`, `ldap://host` or `ldaps://host:port`. The first that answers is asked. "
        "Empty: users are those of config/users.ldif.",
    ),
    Option(
        "local.ugldapport",
        Integer(0, 65535),
        "0",
        "The port of LDAP servers that are named without one; 0: 636 with local.ugldapusessl, "
        "else 389.",
    ),
    Option(
        "local.ugldapbasedn",
        Text(),
        "",
        "The entry below which users are searched, such as ou=People,dc=example,dc=com.",
    ),
    Option(
        "local.ugldapbinddn",
        Text(),
        "",
        "The distinguished name by which the server binds to search; empty: anonymously.",
    ),
    Option(
        "local.ugldapbindcred",
        SecretFile(),
        "file:config/ldappassword",
        "The file whose first line is the password of local.ugldapbinddn, readable by its owner "
        "only. The password itself is never an option's value.",
    ),
    Option(
        "local.ugldapusessl",
        Boolean(),
        "no",
        "Speak TLS from the first octet (ldaps) with servers whose URL does not say.",
    ),
    Option(
        "local.ugldapstarttls",
        Boolean(),
        "no",
        "Begin TLS by StartTLS on connections that are not ldaps; a server that cannot is not "
        "used.",
    ),
    Option(
        "local.ldapcheckcert",
        Boolean(),
        "yes",
        "Demand that an LDAP server's certificate is for its host name and from a CA that the "
        "certificate database trusts for servers (trust flag C).",
    ),
    Option(
        "local.ugldapauth",
        Choice(PASSWORD_CHECKS),
        "bind",
        "How passwords are checked: bind, by binding as the user, so that the LDAP server judges; "
        "userpassword, by reading userPassword and comparing here.",
    ),
    Option(
        "local.domains",
        Names(blanks_divide=True),
        "",
        "With LDAP: the domains whose mail is ours, besides service.defaultdomain. Addresses in "
        "other domains are not looked up.",
    ),
    Option(
        "sasl.default.ldap.searchfilter",
        Text(),
        "(|(mail=%s)(uid=%U))",
        "The filter that finds who logs in: %s is the whole name with its domain, %U what stands "
        "before the @, %V the domain.",
    ),
    Option(
        "sasl.default.ldap.searchfordomain",
        Boolean(),
        "yes",
        "Take an entry found by sasl.default.ldap.searchfilter only if its mail is in the domain "
        "of the login name.",
    ),
    Option(
        "local.ldappoolsize",
        Integer(1, 64, "connections"),
        "4",
        "How many connections for searches are held; each carries many searches at a time.",
    ),
    Option(
        "local.ldapconnecttimeout",
        Integer(1, 300, "seconds"),
        "5",
        "How many seconds a connection to an LDAP server may take, with TLS and bind.",
    ),
    Option(
        "local.ldapsearchtimeout",
        Integer(1, 600, "seconds"),
        "10",
        "How many seconds a look-up may take before it counts as impossible at present.",
    ),
    Option(
        "local.ldapcachesize",
        Integer(0, 1_000_000, "look-ups"),
        "10000",
        "How many results of look-ups are kept; 0: none.",
    ),
    Option(
        "local.ldapcachettl",
        Integer(0, 86400, "seconds"),
        "60",
        "How many seconds a result is kept: so late at most does a changed password, status or "
        "address count.",
    ),
    Option(
        "local.ldapnegativecachettl",
        Integer(0, 86400, "seconds"),
        "10",
        "How many seconds it is kept that there is no such user: so late at most is a new user "
        "known.",
    ),
)
