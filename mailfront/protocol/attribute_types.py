"""Names of directory attributes: short names, object identifiers and aliases of one attribute.

Takes the type of an attribute as a distinguished name, a filter or a certificate has it; returns
the form in which two spellings of one type are equal (RFC 4512 section 2.5: names have no case,
an attribute may have several, and an object identifier). The names are those of RFC 4514
section 3, RFC 4519, RFC 4524, RFC 2985 and X.520, and the aliases that certificate tools print.
The two attributes for a mail address, PKCS #9 emailAddress (`E`) and RFC 4524 `mail`, count as
one, as certmap.conf always had it.
"""

from __future__ import annotations

# Short name, object identifier, further names.
_TYPES: tuple[tuple[str, ...], ...] = (
    ("CN", "2.5.4.3", "commonName"),
    ("SN", "2.5.4.4", "surname"),
    ("serialNumber", "2.5.4.5"),
    ("C", "2.5.4.6", "countryName"),
    ("L", "2.5.4.7", "localityName"),
    ("ST", "2.5.4.8", "stateOrProvinceName", "S", "SP"),
    ("STREET", "2.5.4.9", "streetAddress"),
    ("O", "2.5.4.10", "organizationName"),
    ("OU", "2.5.4.11", "organizationalUnitName", "organizationUnit"),
    ("title", "2.5.4.12", "T"),
    ("description", "2.5.4.13"),
    ("businessCategory", "2.5.4.15"),
    ("postalCode", "2.5.4.17"),
    ("telephoneNumber", "2.5.4.20"),
    ("name", "2.5.4.41"),
    ("givenName", "2.5.4.42", "GN", "G"),
    ("initials", "2.5.4.43"),
    ("generationQualifier", "2.5.4.44"),
    ("x500UniqueIdentifier", "2.5.4.45"),
    ("dnQualifier", "2.5.4.46", "dnq"),
    ("pseudonym", "2.5.4.65"),
    ("organizationIdentifier", "2.5.4.97"),
    ("UID", "0.9.2342.19200300.100.1.1", "userid"),
    ("MAIL", "0.9.2342.19200300.100.1.3", "rfc822Mailbox"),
    ("DC", "0.9.2342.19200300.100.1.25", "domainComponent"),
    ("E", "1.2.840.113549.1.9.1", "emailAddress", "email", "pkcs9email"),
    ("unstructuredName", "1.2.840.113549.1.9.2"),
    ("unstructuredAddress", "1.2.840.113549.1.9.8"),
    ("jurisdictionL", "1.3.6.1.4.1.311.60.2.1.1", "jurisdictionLocalityName"),
    ("jurisdictionST", "1.3.6.1.4.1.311.60.2.1.2", "jurisdictionStateOrProvinceName"),
    ("jurisdictionC", "1.3.6.1.4.1.311.60.2.1.3", "jurisdictionCountryName"),
    ("labeledURI", "1.3.6.1.4.1.250.1.57"),
    ("homeDirectory", "1.3.6.1.1.1.1.3"),
)
_SHORT_NAMES = {spelling.lower(): names[0] for names in _TYPES for spelling in names}
_MAIL, _EMAIL = "mail", "e"
_SPELLINGS = {
    names[0].lower(): frozenset(spelling.lower() for spelling in names) for names in _TYPES
}
_MAIL_SPELLINGS = _SPELLINGS[_MAIL] | _SPELLINGS[_EMAIL]
# caseExactMatch (RFC 2079) and caseExactIA5Match (RFC 2307). All else that stands in names is
# compared without case: caseIgnoreMatch and its kin, and RFC 5280 section 7.1 for certificates.
_CASE_EXACT = frozenset(("labeleduri", "homedirectory"))


def short_name(name: str) -> str:
    """Return the short name of a type that is known by any name or object identifier.

    An unknown one is returned as it is, less the `OID.` of RFC 1779.
    """
    bare = name[4:] if name[:4].lower() == "oid." else name
    return _SHORT_NAMES.get(bare.lower(), bare)


def attribute_key(name: str) -> str:
    """Return the one form of all spellings of an attribute type, in lower case."""
    key = short_name(name).lower()
    return _MAIL if key == _EMAIL else key


def spellings(name: str) -> frozenset[str]:
    """Return all spellings of the attribute type `name`, in lower case."""
    key = attribute_key(name)
    if key == _MAIL:
        return _MAIL_SPELLINGS
    return _SPELLINGS.get(key) or frozenset((key,))


def is_case_exact(name: str) -> bool:
    """Whether values of this attribute differ that differ in case alone."""
    return attribute_key(name) in _CASE_EXACT
