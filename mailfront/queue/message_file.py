"""The file of one message in the queue: its envelope, then its octets; never changed once written.

    mailfront-queue 1 HEADER-LENGTH HEADER-CRC32 CONTENT-LENGTH CONTENT-CRC32
    {"sender": …}
    content

Numbers have fixed widths, so that the first line can be filled in once the content is known. The
envelope is here too, so that the files alone are enough to make a lost database anew.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mailfront.errors import BackendError
from mailfront.interfaces.message_sink import Envelope, MailOptions, RecipientOptions

CHUNK = 256 * 1024
# 1000 recipients of the greatest length with an ORCPT each need less.
HEADER_LIMIT = 4 * 2**20
_OPENING = re.compile(
    rb"mailfront-queue 1 ([0-9]{10}) ([0-9a-f]{8}) ([0-9]{19}) ([0-9a-f]{8})\n", re.ASCII
)
_OPENING_LENGTH = len("mailfront-queue 1 ") + 10 + 1 + 8 + 1 + 19 + 1 + 8 + 1


class DamagedFileError(BackendError):
    """A file of the queue is not what was written."""

    def __init__(self, what: str) -> None:
        super().__init__(what, temporary=False)


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What the file says of its message; `arrived` is a Unix time, `offset` where the content
    begins, which is of `size` octets."""

    envelope: Envelope
    arrived: float
    offset: int
    size: int
    checksum: int


def write_message_file(
    path: Path, envelope: Envelope, arrived: float, chunks: Iterable[bytes]
) -> int:
    """Write a new file and sync it; return the size of the content.

    Raises `OSError`; then there is no such file.
    """
    header = _encoded(envelope, arrived)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as stream:
            _write_all(stream.fileno(), _opening(header, 0, 0) + header)
            size = checksum = 0
            for chunk in chunks:
                _write_all(stream.fileno(), chunk)
                size += len(chunk)
                checksum = zlib.crc32(chunk, checksum)
            os.pwrite(stream.fileno(), _opening(header, size, checksum), 0)
            os.fsync(stream.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return size


def read_header(path: Path) -> FileHeader:
    """Read what stands before the content. Raises `DamagedFileError` or `OSError`."""
    with path.open("rb") as stream:
        opening = _OPENING.fullmatch(stream.read(_OPENING_LENGTH))
        if opening is None:
            raise DamagedFileError(f"{path.name}: the first line is damaged")
        length, header_checksum = int(opening[1]), int(opening[2], 16)
        if length > HEADER_LIMIT:
            raise DamagedFileError(f"{path.name}: the envelope is too long")
        header = stream.read(length)
        size = os.fstat(stream.fileno()).st_size - _OPENING_LENGTH - length
    if len(header) != length or zlib.crc32(header) != header_checksum:
        raise DamagedFileError(f"{path.name}: the envelope is damaged")
    if size != int(opening[3]):
        raise DamagedFileError(f"{path.name}: {size} octets instead of {int(opening[3])}")
    envelope, arrived = _decoded(header, path.name)
    return FileHeader(envelope, arrived, _OPENING_LENGTH + length, size, int(opening[4], 16))


class QueuedMessage:
    """Implements `interfaces.message_sink.Message` over an open file. Close it, or use `with`.

    It stays readable when the message is deleted meanwhile.
    """

    def __init__(self, path: Path) -> None:
        """Open and check the whole file. Raises `DamagedFileError` or `OSError`."""
        self.header = read_header(path)
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        checksum = 0
        try:
            for chunk in self.chunks():
                checksum = zlib.crc32(chunk, checksum)
        except BaseException:
            self.close()
            raise
        if checksum != self.header.checksum:
            self.close()
            raise DamagedFileError(f"{path.name}: the content is damaged")

    @property
    def size(self) -> int:
        """Length in octets."""
        return self.header.size

    def chunks(self) -> Iterator[bytes]:
        """The message from its first octet. Raises `BackendError` when the disk fails."""
        end = self.header.offset + self.header.size
        for offset in range(self.header.offset, end, CHUNK):
            try:
                chunk = os.pread(self._descriptor, min(CHUNK, end - offset), offset)
            except OSError as failure:
                raise BackendError(f"the queue: {failure}", temporary=True) from failure
            yield chunk

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> QueuedMessage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def options_record(options: MailOptions) -> str:
    """What MAIL said, as text for the database."""
    return json.dumps(asdict(options), separators=(",", ":"))


def options_of_record(text: str) -> MailOptions:
    """The reverse of `options_record`; what it does not know is left out."""
    record = json.loads(text)
    known = {name: record[name] for name in MailOptions.__dataclass_fields__ if name in record}
    return MailOptions(**known)


def recipient_options(notify: str, original: str) -> RecipientOptions:
    """What RCPT said, from `notify` with commas."""
    return RecipientOptions(frozenset(filter(None, notify.split(","))), original)


def notify_text(options: RecipientOptions) -> str:
    """NOTIFY with commas."""
    return ",".join(sorted(options.notify))


def _opening(header: bytes, size: int, checksum: int) -> bytes:
    return (
        f"mailfront-queue 1 {len(header):010} {zlib.crc32(header):08x} {size:019} {checksum:08x}\n"
    ).encode("ascii")


def _encoded(envelope: Envelope, arrived: float) -> bytes:
    recipients = []
    for address in envelope.recipients:
        options = envelope.options_of(address)
        recipients.append([address, notify_text(options), options.original])
    record = {
        "sender": envelope.sender,
        "arrived": arrived,
        "user": envelope.authenticated_user,
        "options": asdict(envelope.options),
        "recipients": recipients,
    }
    return json.dumps(record).encode("ascii") + b"\n"


def _decoded(header: bytes, name: str) -> tuple[Envelope, float]:
    try:
        record = json.loads(header)
        options = options_of_record(json.dumps(record["options"]))
        recipients = {
            str(address): recipient_options(notify, original)
            for address, notify, original in record["recipients"]
        }
        user = record["user"]
        envelope = Envelope(
            str(record["sender"]),
            tuple(recipients),
            None if user is None else str(user),
            options=options,
            recipient_options={
                address: each
                for address, each in recipients.items()
                if each.notify or each.original
            },
        )
        return envelope, float(record["arrived"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedFileError(f"{name}: the envelope cannot be read") from error


def _write_all(descriptor: int, data: bytes) -> None:
    with memoryview(data) as view:
        written = 0
        while written < len(view):
            written += os.write(descriptor, view[written:])
