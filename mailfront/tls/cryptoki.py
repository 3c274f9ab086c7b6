"""A PKCS#11 module as the process that serves calls it itself: the few functions that are needed.

OpenSSL's provider has loaded and initialised the same library, which both share: sessions, the
login, and the objects of sessions belong to the process (PKCS#11 2.40 sections 2.3, 2.4 and 5.6).
So nothing here needs the library to be ours alone, as python-pkcs11 does. Takes the path of the
library, gives numbers and octets; raises `TokenError`, which names what the module answered.
"""

from __future__ import annotations

import ctypes  # noqa: TID251 (PKCS#11 is an interface of C functions; python-pkcs11 would initialise)
from collections.abc import Mapping
from pathlib import Path

from mailfront.errors import TokenError
from mailfront.interfaces.secret import Secret

Value = bool | int | bytes | str
"""An attribute: CK_BBOOL, CK_ULONG, octets, or text in UTF-8."""

# CKA_ID, by which the objects of a key are found.
IDENTIFIER = 0x102

# The places of functions in CK_FUNCTION_LIST (section 3.6 of the base specification).
_INITIALISE, _FINALISE, _GET_SLOT_LIST, _GET_TOKEN_INFO = 0, 1, 4, 6
_OPEN_SESSION, _CLOSE_SESSION, _LOGIN = 12, 13, 18
_CREATE_OBJECT, _GET_ATTRIBUTE_VALUE = 20, 24
_FUNCTIONS = 68

_OK, _ALREADY_LOGGED_IN, _ALREADY_INITIALISED = 0, 0x100, 0x191
_OS_LOCKING, _SERIAL_SESSION, _USER = 2, 4, 1
_MAXIMUM_SLOTS = 1024
_MAXIMUM_VALUE = 4096
# CK_TOKEN_INFO begins with label, manufacturer, model and serial number, padded with blanks.
_TOKEN_INFO = 512
_LABEL, _SERIAL = slice(0, 32), slice(80, 96)
# The answers that a token gives which went away or began anew; the others are for good.
_PASSING = frozenset((0x05, 0x30, 0x32, 0xB0, 0xB3, 0xE0, 0x101, 0x190))
_NAMES = {
    0x03: "CKR_SLOT_ID_INVALID", 0x05: "CKR_GENERAL_ERROR", 0x06: "CKR_FUNCTION_FAILED",
    0x10: "CKR_ATTRIBUTE_READ_ONLY", 0x12: "CKR_ATTRIBUTE_TYPE_INVALID",
    0x13: "CKR_ATTRIBUTE_VALUE_INVALID", 0x1B: "CKR_ACTION_PROHIBITED",
    0x30: "CKR_DEVICE_ERROR", 0x31: "CKR_DEVICE_MEMORY", 0x32: "CKR_DEVICE_REMOVED",
    0x54: "CKR_FUNCTION_NOT_SUPPORTED", 0xA0: "CKR_PIN_INCORRECT", 0xA4: "CKR_PIN_LOCKED",
    0xB0: "CKR_SESSION_CLOSED", 0xB1: "CKR_SESSION_COUNT", 0xB3: "CKR_SESSION_HANDLE_INVALID",
    0xB5: "CKR_SESSION_READ_ONLY", 0xD0: "CKR_TEMPLATE_INCOMPLETE",
    0xD1: "CKR_TEMPLATE_INCONSISTENT", 0xE0: "CKR_TOKEN_NOT_PRESENT",
    0x101: "CKR_USER_NOT_LOGGED_IN", 0x190: "CKR_CRYPTOKI_NOT_INITIALIZED",
}  # fmt: skip

_Number = ctypes.c_ulong


class _FunctionList(ctypes.Structure):
    _fields_ = (("version", ctypes.c_ubyte * 2), ("function", ctypes.c_void_p * _FUNCTIONS))


class _Arguments(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS: we have threads, and the system's locks will do."""

    _fields_ = (
        ("mutexes", ctypes.c_void_p * 4),
        ("flags", _Number),
        ("reserved", ctypes.c_void_p),
    )


class _Attribute(ctypes.Structure):
    _fields_ = (("kind", _Number), ("value", ctypes.c_void_p), ("length", _Number))


class Cryptoki:
    """The functions of one library. Calls may take long, and may be made by several threads."""

    def __init__(self, library: Path) -> None:
        self._library = library
        functions = ctypes.POINTER(_FunctionList)()
        try:
            module = ctypes.CDLL(str(library))
            module.C_GetFunctionList.restype = _Number
            answer = module.C_GetFunctionList(ctypes.byref(functions))
        except (OSError, AttributeError) as error:
            raise TokenError(f"the PKCS#11 module {library} cannot be loaded: {error}") from error
        self._judge("C_GetFunctionList", answer)
        # The list belongs to the library, which is never unloaded.
        self._functions = functions.contents.function

    def initialise(self) -> None:
        """Begin, unless somebody in this process did."""
        arguments = _Arguments(flags=_OS_LOCKING)
        answer = self._call(_INITIALISE, ctypes.byref(arguments))
        if answer != _ALREADY_INITIALISED:
            self._judge("C_Initialize", answer)

    def finalise(self) -> None:
        """End all sessions and logins of this process, whoever opened them."""
        self._call(_FINALISE, None)

    def slot(self, label: str, serial: str) -> int:
        """Return the slot of the token with that label and serial number."""
        number = _Number(_MAXIMUM_SLOTS)
        slots = (_Number * _MAXIMUM_SLOTS)()
        answer = self._call(_GET_SLOT_LIST, ctypes.c_ubyte(1), slots, ctypes.byref(number))
        self._judge("C_GetSlotList", answer)
        information = ctypes.create_string_buffer(_TOKEN_INFO)
        for slot in slots[: number.value]:
            if self._call(_GET_TOKEN_INFO, _Number(slot), information) != _OK:
                continue
            texts = (information.raw[part] for part in (_LABEL, _SERIAL))
            if [text.decode(errors="replace").strip(" \0") for text in texts] == [label, serial]:
                return slot
        raise TokenError(f"the token {label!r} is not there for this process", temporary=True)

    def open_session(self, slot: int) -> int:
        """Return the handle of a new session, which does not change what is stored."""
        session = _Number()
        answer = self._call(
            _OPEN_SESSION, _Number(slot), _Number(_SERIAL_SESSION), None, None,
            ctypes.byref(session),
        )  # fmt: skip
        self._judge("C_OpenSession", answer)
        return session.value

    def close_session(self, session: int) -> None:
        """Close a session; its objects are gone with it."""
        self._judge("C_CloseSession", self._call(_CLOSE_SESSION, _Number(session)))

    def log_in(self, session: int, pin: Secret) -> None:
        """Log this process in, unless it is."""
        octets = pin.reveal().encode()
        answer = self._call(_LOGIN, _Number(session), _Number(_USER), octets, _Number(len(octets)))
        if answer != _ALREADY_LOGGED_IN:
            self._judge("C_Login", answer)

    def create_object(self, session: int, attributes: Mapping[int, Value]) -> int:
        """Return the handle of a new object."""
        buffers = [_octets(value) for value in attributes.values()]
        template = (_Attribute * len(buffers))(
            *(
                _Attribute(int(kind), ctypes.addressof(buffer), len(buffer))
                for kind, buffer in zip(attributes, buffers, strict=True)
            )
        )
        created = _Number()
        answer = self._call(
            _CREATE_OBJECT, _Number(session), template, _Number(len(buffers)),
            ctypes.byref(created),
        )  # fmt: skip
        self._judge("C_CreateObject", answer)
        return created.value

    def attribute(self, session: int, found: int, kind: int) -> bytes | None:
        """Return an attribute of an object; None if there is no such object or attribute."""
        buffer = ctypes.create_string_buffer(_MAXIMUM_VALUE)
        template = _Attribute(int(kind), ctypes.addressof(buffer), _MAXIMUM_VALUE)
        answer = self._call(
            _GET_ATTRIBUTE_VALUE, _Number(session), _Number(found), ctypes.byref(template),
            _Number(1),
        )  # fmt: skip
        if answer != _OK or template.length > _MAXIMUM_VALUE:
            return None
        return buffer.raw[: template.length]

    def _call(self, position: int, *arguments: object) -> int:
        function = ctypes.CFUNCTYPE(_Number)(self._functions[position])
        return int(function(*arguments))

    def _judge(self, function: str, answer: int) -> None:
        if answer != _OK:
            name = _NAMES.get(answer, f"0x{answer:X}")
            raise TokenError(
                f"the PKCS#11 module {self._library} answers {function} with {name}",
                temporary=answer in _PASSING,
            )


def _octets(value: Value) -> ctypes.Array[ctypes.c_char]:
    if isinstance(value, bool):
        octets = bytes((value,))
    elif isinstance(value, int):
        octets = bytes(_Number(value))
    else:
        octets = value.encode() if isinstance(value, str) else value
    return ctypes.create_string_buffer(octets, len(octets))
