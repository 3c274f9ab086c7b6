"""Handshakes whose private key is on a token, in a few threads beside the event loop.

A signature takes a hardware token 2 to 50 ms, during which a loop that waited would serve nobody;
OpenSSL is called without the interpreter's lock, so a thread can wait. `TokenRecords` takes the
place of `TlsRecords` for such a connection: its `handshake` begins a step elsewhere, answers "not
yet", and what the owner gave is called when there is more. OpenSSL's own BIOs belong to the thread
meanwhile; what arrives is kept apart, so its amount is bounded by what one event delivers.

The threads are as many as signatures are asked of tokens at once. Whoever gives a handshake up
abandons its records, and what has not begun of it leaves the queue: so no token signs for somebody
who is gone, and no more wait than the listener's turns let be under way. When more ask than a token
can sign for, the last to come is signed for first, since it has the most time left; in order of
arrival everybody's time would be over before the signature. A handshake that was answered goes on
before all others: its signature is spent. A module can be begun anew only while no thread signs.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path

from mailfront.errors import TokenError
from mailfront.tls.pkcs11_provider import pkcs11_provider
from mailfront.tls.records import TlsRecords
from mailfront.tls.server_flight import is_retry_request

_log = logging.getLogger("mailfront.tls")

THREADS = 8
# A signature that takes longer than this is taken for one that will never be.
_PATIENCE = 15.0

Step = Callable[[], None]


class SigningThreads:
    """At most `THREADS` threads, started when needed. They end with the process: a token that
    never answers must not keep it."""

    def __init__(self) -> None:
        # What has not begun, each under a number of its own, the oldest first.
        self._prompt: OrderedDict[int, Step] = OrderedDict()
        self._patient: OrderedDict[int, Step] = OrderedDict()
        self._submitted = 0
        self._threads = 0
        self._outstanding = 0
        self._counting = threading.Condition()
        # Held for as long as a module is begun anew; the loop never asks for it.
        self._gate = threading.Condition()
        self._signing = 0
        self._suspected = False

    @property
    def waiting(self) -> int:
        """How many steps have not begun."""
        return len(self._prompt) + len(self._patient)

    def submit(self, step: Step, *, patient: bool = False) -> int:
        """Have `step` called by one of the threads; return what `withdraw` takes. Those that are
        `patient` are called when there are no others, the last one first."""
        with self._counting:
            number = self._submitted = self._submitted + 1
            self._outstanding += 1
            (self._patient if patient else self._prompt)[number] = step
            if self._threads < min(self._outstanding, THREADS):
                self._threads += 1
                threading.Thread(
                    target=self._work, name=f"token-{self._threads}", daemon=True
                ).start()
            self._counting.notify()
            return number

    def withdraw(self, number: int) -> None:
        """Forget the step of that number unless it has begun."""
        with self._counting:
            for steps in (self._prompt, self._patient):
                if steps.pop(number, None) is not None:
                    self._outstanding -= 1

    def suspect(self) -> None:
        """A token did not sign."""
        self._suspected = True

    def were_suspected(self) -> bool:
        """Whether a token did not sign since the last call."""
        suspected, self._suspected = self._suspected, False
        return suspected

    def alone(self, work: Callable[[], None]) -> None:
        """Call `work` while no step runs. Raises `TokenError` if one does not end."""
        with self._gate:
            if not self._gate.wait_for(lambda: self._signing == 0, _PATIENCE):
                raise TokenError("a token is still busy with a signature", temporary=True)
            # Holding the gate keeps every thread from beginning a step.
            work()

    def finish(self, seconds: float) -> None:
        """Wait until no step runs, for at most so long: a process that ends under a signature may
        crash in the module's clean-up."""
        with self._gate:
            self._gate.wait_for(lambda: self._signing == 0, seconds)

    def _next_step(self) -> Step:
        with self._counting:
            self._counting.wait_for(lambda: self.waiting)
            if self._prompt:
                return self._prompt.popitem(last=False)[1]
            return self._patient.popitem()[1]

    def _work(self) -> None:
        while True:
            step = self._next_step()
            with self._gate:
                self._signing += 1
            try:
                step()
            except Exception:
                _log.exception("a handshake with a token's key failed in an unexpected way")
            finally:
                with self._gate:
                    self._signing -= 1
                    self._gate.notify_all()
                with self._counting:
                    self._outstanding -= 1
                # Not kept for as long as there is no other: a connection hangs on it.
                del step


@cache
def signing_threads() -> SigningThreads:
    """The threads of this process."""
    return SigningThreads()


def renew_module(library: Path, *, finalise: bool) -> None:
    """Begin anew with a module whose tokens came back (`Pkcs11Provider.renew`)."""
    try:
        signing_threads().alone(lambda: pkcs11_provider().renew(library, finalise=finalise))
    except TokenError as failure:
        _log.warning("the PKCS#11 module %s cannot be begun anew: %s", library, failure)


class TokenRecords(TlsRecords):
    """Like `TlsRecords`, but the handshake's steps are taken by the signing threads; `go_on` is
    called in the loop when `handshake` has something new to tell."""

    __slots__ = (
        "_abandoned", "_answered", "_at_token", "_failure", "_finished", "_go_on", "_in_thread",
        "_inner", "_loop", "_number",
    )  # fmt: skip

    def __init__(
        self,
        context: ssl.SSLContext,
        ask: Callable[[ssl.SSLObject], None],
        go_on: Callable[[], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(context, ask=ask)
        # What OpenSSL reads and writes; the owner's side gets BIOs of its own meanwhile.
        self._inner = self.incoming, self.outgoing
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._go_on = go_on
        self._loop = loop
        self._number = 0
        self._in_thread = False
        self._at_token = False
        self._abandoned = False
        # Whether the flight with our signature, if there is one, has been made.
        self._answered = False
        self._finished = False
        self._failure: ssl.SSLError | None = None

    def handshake(self) -> bool:
        """Begin the next step if there is input for it; whether the handshake is finished."""
        if self._failure is not None:
            raise self._failure
        if self._finished:
            return True
        if not (self._in_thread or self._abandoned) and self.incoming.pending:
            if self._ask is not None:
                ask, self._ask = self._ask, None
                ask(self.tls)
            self._in_thread = True
            self._inner[0].write(self.incoming.read())
            self._number = signing_threads().submit(self._step, patient=not self._answered)
        return False

    @property
    def busy(self) -> bool:
        """Part of `TlsRecords`: then nothing need be read for it."""
        return self._in_thread

    @property
    def at_token(self) -> bool:
        """Part of `TlsRecords`: a thread has taken up the step."""
        return self._at_token

    def abandon(self) -> None:
        """Part of `TlsRecords`: no step begins any more, and `go_on` is not called."""
        self._abandoned = True
        if self._in_thread:
            signing_threads().withdraw(self._number)

    def _step(self) -> None:
        """In a thread: one step with OpenSSL's own BIOs."""
        if self._abandoned:
            return
        self._at_token = True
        failure: ssl.SSLError | None = None
        finished = False
        try:
            self.tls.do_handshake()
            finished = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            failure = error
            if _is_ours(error):
                signing_threads().suspect()
                failure = ssl.SSLError(ssl.SSL_ERROR_SSL, "the token did not sign")
                failure.reason = "TOKEN_DID_NOT_SIGN"
        try:
            self._loop.call_soon_threadsafe(self._step_done, finished, failure)
        except RuntimeError:
            # The loop has ended, and its connections with it.
            return

    def _step_done(self, finished: bool, failure: ssl.SSLError | None) -> None:
        self._in_thread = self._at_token = False
        if self._abandoned:
            return
        self._failure, self._finished = failure, finished
        incoming, outgoing = self._inner
        if not finished:
            flight = outgoing.read()
            if flight and not is_retry_request(flight):
                self._answered = True
            self.outgoing.write(flight)
            self._note_group()
        else:
            # From here on as without a token: the loop alone has to do with OpenSSL.
            written = self.outgoing.read() + outgoing.read()
            incoming.write(self.incoming.read())
            self.incoming, self.outgoing = incoming, outgoing
            self.outgoing.write(written)
        self._go_on()


def _is_ours(failure: ssl.SSLError) -> bool:
    """Whether it is not the peer's fault: OpenSSL then names a library, and no reason."""
    return not failure.reason or failure.reason.endswith("LIB")
