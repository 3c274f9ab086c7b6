"""Options of the user directory: their names and defaults."""

from mailfront.configuration.options.directory import OPTIONS


def test_names_and_defaults() -> None:
    assert {option.name: option.default for option in OPTIONS} == {
        "local.ugldaphost": "",
        "local.ugldapport": "0",
        "local.ugldapbasedn": "",
        "local.ugldapbinddn": "",
        "local.ugldapbindcred": "file:config/ldappassword",
        "local.ugldapusessl": "no",
        "local.ugldapstarttls": "no",
        "local.ldapcheckcert": "yes",
        "local.ugldapauth": "bind",
        "local.domains": "",
        "sasl.default.ldap.searchfilter": "(|(mail=%s)(uid=%U))",
        "sasl.default.ldap.searchfordomain": "yes",
        "local.ldappoolsize": "4",
        "local.ldapconnecttimeout": "5",
        "local.ldapsearchtimeout": "10",
        "local.ldapcachesize": "10000",
        "local.ldapcachettl": "60",
        "local.ldapnegativecachettl": "10",
    }
