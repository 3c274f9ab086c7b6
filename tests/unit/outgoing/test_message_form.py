"""What a message needs, found whatever pieces it comes in."""

from __future__ import annotations

import pytest

from mailfront.outgoing.message_form import MessageForm, message_form
from tests.support.outgoing import MemoryMessage

FORMS = [
    (b"Subject: x\r\n\r\nplain\r\n", MessageForm()),
    (b"Subject: x\r\n\r\ngr\xc3\xbcn\r\n", MessageForm(eight_bit=True)),
    (b"Subject: \xc3\xbc\r\n\r\nx\r\n", MessageForm(eight_bit=True, eight_bit_header=True)),
    (b"tls-required : NO \r\n\r\nx\r\n", MessageForm(tls_optional=True)),
    (b"A: b\r\nTLS-Required: No\r\n\r\nx\r\n", MessageForm(tls_optional=True)),
    (b"A: b\r\nTLS-Required: yes\r\n\r\nx\r\n", MessageForm()),
    (b"A: b\r\n\r\nTLS-Required: No\r\n\r\n", MessageForm()),
    (b"", MessageForm()),
]


@pytest.mark.parametrize(("content", "form"), FORMS)
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_the_form_does_not_depend_on_the_pieces(
    content: bytes, form: MessageForm, piece: int
) -> None:
    assert message_form(MemoryMessage(content, piece)) == form


def test_a_header_without_end_is_bounded() -> None:
    content = b"A: " + b"x" * 400_000 + b"\r\nTLS-Required: No\r\n\r\n"
    assert message_form(MemoryMessage(content, 1000)) == MessageForm()
