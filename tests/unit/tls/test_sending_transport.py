"""What leaves on a connection. How TLS records leave is in test_transport.py."""

from __future__ import annotations

import asyncio

from mailfront.interfaces.peer import Peer
from mailfront.observability.connection_record import ConnectionRecord
from mailfront.tls.sending_transport import SendingTransport
from tests.support.memory_transport import MemoryTransport


class Raw(MemoryTransport):
    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"peername": ("192.0.2.9", 1), "sockname": ("192.0.2.1", 143)}.get(name, default)

    def get_write_buffer_size(self) -> int:
        return 0


class Clear(SendingTransport):
    def __init__(self, raw: Raw) -> None:
        super().__init__(asyncio.get_running_loop())
        self._raw = raw
        self.peer = Peer("192.0.2.7", 40000, "192.0.2.1", 143)
        self.record = ConnectionRecord("imap", self.peer)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._plain_output.append(bytes(data))


async def test_the_client_is_who_the_connection_began_for_not_the_other_end_of_the_socket() -> None:
    transport = Clear(Raw())
    assert transport.get_extra_info("peername") == ("192.0.2.7", 40000)
    assert transport.get_extra_info("sockname") == ("192.0.2.1", 143)
    assert transport.get_extra_info("ssl_object") is None
    assert transport.get_extra_info("sslcontext", "none") == "none"


async def test_what_was_written_leaves_and_is_counted_before_the_end() -> None:
    raw = Raw()
    transport = Clear(raw)
    transport.write(b"* BYE\r\n")
    transport.write(b"tag OK\r\n")
    assert raw.take() == b""
    transport.close()
    assert raw.take() == b"* BYE\r\ntag OK\r\n"
    assert transport.record.bytes_out == 15
    assert raw.is_closing()
    transport.close_lingering()
    assert raw.take() == b""
