"""Tokens of the installed modules, and sessions on them, logged in with the configured PIN.

Takes a server root and the name of a token (its label, or the name of the module whose only token
it is), gives python-pkcs11's `Session`. The PIN is that of `config/sslpassword.conf`; one that a
token refused is not tried again before the file changes (`refused_pins`). For commands and for
the server's look at its tokens, never inside the process that serves: a module takes one
initialisation per process, and that is OpenSSL's there. Raises `TokenError`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pkcs11
from pkcs11._pkcs11 import lib as Library  # noqa: N812 (the class behind pkcs11.lib)

from mailfront.configuration.home import ServerRoot
from mailfront.errors import TokenError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.passwords import find_password
from mailfront.keystore.pkcs11.attributes import TolerantAttributes
from mailfront.keystore.pkcs11.modules import Module, external_modules
from mailfront.keystore.pkcs11.refused_pins import RefusedPins
from mailfront.keystore.pkcs11.state_files import locked_state, state_directory, write_state

# What a token answers while it is away, or restarting; it may come back by itself.
_GONE = (
    pkcs11.TokenNotPresent,
    pkcs11.DeviceRemoved,
    pkcs11.DeviceError,
    pkcs11.SlotIDInvalid,
    pkcs11.SessionHandleInvalid,
    pkcs11.SessionClosed,
)


@dataclass(frozen=True, slots=True)
class TokenDescription:
    """A token as its module reports it at this moment."""

    module: str
    slot: int
    slot_description: str
    label: str
    model: str
    serial: str
    manufacturer: str
    initialised: bool
    login_required: bool
    pin_initialised: bool
    protected_path: bool
    write_protected: bool
    pin_count_low: bool
    pin_final_try: bool
    pin_locked: bool
    optional: bool = False

    @property
    def tries_left(self) -> str:
        """What the token's flags tell of the tries that are left; it never tells a number."""
        if self.pin_locked:
            return "the PIN is locked"
        if self.pin_final_try:
            return "one try is left"
        if self.pin_count_low:
            return "a wrong PIN was tried before, some tries are left"
        return "the token reports no wrong PIN"


@dataclass(frozen=True, slots=True)
class _Found:
    token: pkcs11.Token
    description: TokenDescription


def tokens(root: ServerRoot) -> list[TokenDescription]:
    """Return the tokens of all enabled modules. Raises `TokenError` where a module fails."""
    return [found.description for module in external_modules(root) for found in _tokens_of(module)]


def tokens_of(module: Module) -> list[TokenDescription]:
    """Return the tokens of one module. Raises `TokenError` if its library does not answer."""
    return [found.description for found in _tokens_of(module)]


def describe_token(root: ServerRoot, name: str) -> TokenDescription:
    """Return the token of that label, or the only one of the module of that name."""
    return _find(root, name).description


@contextmanager
def open_token(
    root: ServerRoot,
    token_label: str,
    *,
    read_write: bool = False,
    typed_pin: Secret | None = None,
) -> Iterator[pkcs11.Session]:
    """Open a session on a token, logged in where the token wants that, for the block.

    A `typed_pin`, which a person gave for this once, is used in place of the configured one.

    Raises `TokenError`: no such token, no PIN, a wrong one, a token that needs a person.
    """
    found = _find(root, token_label)
    description = found.description
    pin = None
    if description.login_required and typed_pin is None:
        pin = _usable_pin(root, description)
    try:
        if typed_pin is not None and description.login_required:
            session = _open_as_typed(found, typed_pin, read_write=read_write)
        else:
            session = _open(root, found, pin, read_write=read_write)
    except pkcs11.PKCS11Error as error:
        raise token_error(error, f"the token {description.label!r} cannot be opened") from error
    try:
        yield session
    except pkcs11.PKCS11Error as error:
        raise token_error(error, f"the token {description.label!r}") from error
    finally:
        # A token that was removed has closed it already.
        with contextlib.suppress(pkcs11.PKCS11Error):
            session.close()
        if read_write:
            _note_change(root)


def change_file(root: ServerRoot) -> Path:
    """What is touched when something on a token may have changed, so that a server looks."""
    return state_directory(root) / "changed"


def _note_change(root: ServerRoot) -> None:
    # Without it the server sees the change at its next regular look.
    with contextlib.suppress(TokenError), locked_state(root):
        write_state(change_file(root), b"")


def token_error(error: pkcs11.PKCS11Error, what: str) -> TokenError:
    """Return what an error of a PKCS#11 module means, in words that hold no secret."""
    reason = type(error).__name__
    if isinstance(error, _GONE):
        return TokenError(
            f"{what}: it is gone ({reason})", remedy="is it connected?", temporary=True
        )
    return TokenError(f"{what}: the module answers {reason}")


def load(module: Module) -> Library:
    """Return the library of a module, loaded and initialised once per process."""
    if module.library is None:
        raise TokenError(f"the module {module.name!r} has no library")
    try:
        return pkcs11.lib(str(module.library))
    except (pkcs11.PKCS11Error, RuntimeError) as error:
        raise TokenError(
            f"the module {module.name!r} cannot be loaded: {str(error) or type(error).__name__}",
            remedy=f"is {module.library} right? `mailfront modutil -list {module.name!r}` tells",
        ) from error


def _tokens_of(module: Module) -> Iterator[_Found]:
    try:
        for slot in load(module).get_slots(token_present=True):
            if module.slot and module.slot not in (str(slot.slot_id), slot.slot_description):
                continue
            try:
                token = slot.get_token()
            except (pkcs11.TokenNotPresent, pkcs11.TokenNotRecognised):
                continue
            found = _Found(token, _describe(module, slot, token))
            # SoftHSM shows a slot for the token that could be made next.
            if found.description.initialised:
                yield found
    except pkcs11.PKCS11Error as error:
        raise token_error(error, f"the module {module.name!r}") from error


def _describe(module: Module, slot: pkcs11.Slot, token: pkcs11.Token) -> TokenDescription:
    flags = token.flags
    return TokenDescription(
        module=module.name,
        slot=slot.slot_id,
        slot_description=slot.slot_description,
        label=token.label,
        model=token.model,
        serial=token.serial.decode("utf-8", "replace"),
        manufacturer=token.manufacturer_id,
        initialised=pkcs11.TokenFlag.TOKEN_INITIALIZED in flags,
        login_required=pkcs11.TokenFlag.LOGIN_REQUIRED in flags,
        pin_initialised=pkcs11.TokenFlag.USER_PIN_INITIALIZED in flags,
        protected_path=pkcs11.TokenFlag.PROTECTED_AUTHENTICATION_PATH in flags,
        write_protected=pkcs11.TokenFlag.WRITE_PROTECTED in flags,
        pin_count_low=pkcs11.TokenFlag.USER_PIN_COUNT_LOW in flags,
        pin_final_try=pkcs11.TokenFlag.USER_PIN_FINAL_TRY in flags,
        pin_locked=pkcs11.TokenFlag.USER_PIN_LOCKED in flags,
        optional=module.optional,
    )


def _find(root: ServerRoot, name: str) -> _Found:
    failure: TokenError | None = None
    everything: list[_Found] = []
    modules = external_modules(root)
    for module in modules:
        try:
            everything += _tokens_of(module)
        except TokenError as error:
            failure = error
    matching = [found for found in everything if found.description.label == name]
    if not matching:
        matching = [found for found in everything if found.description.module == name]
    if len(matching) == 1:
        return matching[0]
    if matching:
        serials = ", ".join(found.description.serial for found in matching)
        raise TokenError(
            f"{len(matching)} tokens answer to {name!r} (serial numbers {serials})",
            remedy="give each its own label, or restrict the module to one slot",
        )
    if failure is not None:
        raise failure
    if not modules:
        raise TokenError(
            f"there is no token {name!r}: no PKCS#11 module is installed",
            remedy="mailfront modutil -add NAME -libfile PATH",
        )
    labels = ", ".join(repr(found.description.label) for found in everything) or "none"
    raise TokenError(
        f"there is no token {name!r}",
        remedy=f"present are {labels}; is it connected? Another module is added with "
        "`mailfront modutil -add NAME -libfile PATH`",
        temporary=True,
    )


def _usable_pin(root: ServerRoot, description: TokenDescription) -> Secret:
    label = description.label
    if not description.pin_initialised:
        raise TokenError(f"the token {label!r} has no user PIN yet", remedy="its own tool sets one")
    if description.protected_path:
        raise TokenError(
            f"the token {label!r} takes its PIN on its own keypad, so it needs a person",
            remedy="a server that starts unattended needs a token without keypad",
        )
    if description.pin_locked:
        raise TokenError(
            f"the PIN of the token {label!r} is locked",
            remedy="its security officer unlocks it with the token's own tool",
        )
    path = root.sslpassword_conf
    pin = find_password(path, label)
    if pin is None:
        raise TokenError(
            f"there is no line for the token {label!r}",
            remedy=f"add the line `{label}:` followed by its PIN",
            file=path,
        )
    if description.pin_final_try:
        raise TokenError(
            f"the token {label!r} has one try left before its PIN is locked; it is left to you",
            remedy="log in once by hand: pkcs11-tool --module LIBRARY --login --list-objects",
        )
    return pin


def _open_as_typed(found: _Found, pin: Secret, *, read_write: bool) -> pkcs11.Session:
    try:
        return _session(found.token, pin, read_write=read_write)
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as error:
        raise TokenError(
            f"the token {found.description.label!r} refuses the PIN "
            f"({_describe_again(found).tries_left})"
        ) from error


def _session(token: pkcs11.Token, pin: Secret | None, *, read_write: bool) -> pkcs11.Session:
    return token.open(
        rw=read_write,
        user_pin=None if pin is None else pin.reveal(),
        attribute_mapper=TolerantAttributes(),
    )


def _open(
    root: ServerRoot, found: _Found, pin: Secret | None, *, read_write: bool
) -> pkcs11.Session:
    if pin is None:
        return _session(found.token, None, read_write=read_write)
    label = found.description.label
    key = f"{label}/{found.description.serial}"
    with RefusedPins(root).one_at_a_time() as refused:
        if refused.includes(key, pin):
            raise TokenError(
                f"the PIN of the token {label!r} was refused before and is not tried again",
                remedy="correct its line, or save the file anew to have it tried once more",
                file=root.sslpassword_conf,
            )
        try:
            session = _session(found.token, pin, read_write=read_write)
        except pkcs11.UserAlreadyLoggedIn:
            return _session(found.token, None, read_write=read_write)
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as error:
            refused.add(key, pin)
            now = _describe_again(found)
            raise TokenError(
                f"the token {label!r} refuses the PIN ({now.tries_left})",
                remedy="correct its line; this PIN is not tried again",
                file=root.sslpassword_conf,
            ) from error
        except pkcs11.PinLocked as error:
            refused.add(key, pin)
            raise TokenError(
                f"the PIN of the token {label!r} is locked",
                remedy="its security officer unlocks it with the token's own tool",
            ) from error
        refused.forget(key)
        return session


def _describe_again(found: _Found) -> TokenDescription:
    """The flags as they are after a try."""
    module = Module(found.description.module, None, optional=found.description.optional)
    try:
        return _describe(module, found.token.slot, found.token.slot.get_token())
    except pkcs11.PKCS11Error:
        return found.description
