import pytest

from mailfront.protocol.attribute_types import attribute_key, is_case_exact, short_name, spellings


@pytest.mark.parametrize(
    "name", ["CN", "cn", "commonName", "COMMONNAME", "2.5.4.3", "OID.2.5.4.3", "oid.2.5.4.3"]
)
def test_all_spellings_of_a_type_are_one(name: str) -> None:
    assert short_name(name) == "CN"
    assert attribute_key(name) == "cn"


def test_the_two_attributes_of_a_mail_address_keep_their_names_and_are_compared_as_one() -> None:
    assert short_name("emailAddress") == short_name("1.2.840.113549.1.9.1") == "E"
    assert short_name("mail") == short_name("rfc822Mailbox") == "MAIL"
    assert attribute_key("E") == attribute_key("Email") == attribute_key("MAIL") == "mail"
    assert {"e", "mail", "emailaddress", "rfc822mailbox"} <= spellings("mail") == spellings("e")


def test_an_unknown_type_is_itself_in_any_case() -> None:
    assert short_name("certSubjectDN") == "certSubjectDN"
    assert short_name("OID.1.2.3") == "1.2.3"
    assert attribute_key("certSubjectDN") == "certsubjectdn"
    assert spellings("certSubjectDN") == {"certsubjectdn"}


def test_case_matters_only_where_the_schema_says_so() -> None:
    assert is_case_exact("labeledURI")
    assert is_case_exact("1.3.6.1.1.1.1.3")
    assert not is_case_exact("cn")
    assert not is_case_exact("certSubjectDN")
