"""Several workers over the same ports: started, watched, told, asked and stopped as one server.

Takes the sockets, bound once per worker (SO_REUSEPORT: the kernel spreads connections), and the
options; each worker is a process of its own, started afresh and not forked, because neither event
loops nor PKCS #11 survive a fork. The supervisor serves nobody itself. It holds the sockets too, so
what was sent to a worker that died waits for the next one in its place; it says `ready` when all
workers accept, answers the control socket and the admin listener for all of them, and gives them
the keys of session tickets. When it dies, the workers stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration, load_configuration
from mailfront.errors import OperatorError
from mailfront.interfaces.status import ServerStatus, StatusSource
from mailfront.interfaces.tasks import start_task
from mailfront.listener.service_port import PortSettings
from mailfront.listener.sockets import bind
from mailfront.observability.counters import Counters
from mailfront.server.admin import AdminSite
from mailfront.server.control import Answer, ControlServer, ask_server
from mailfront.server.handover import Handover, keys_line
from mailfront.server.notification import notify
from mailfront.server.ports import check_distinct, planned_ports
from mailfront.server.status_merging import merged
from mailfront.server.web_service import passes_on
from mailfront.server.wiring import BoundPort
from mailfront.server.worker_link import READY
from mailfront.server.worker_place import WorkerPlace
from mailfront.tls.session_tickets import TicketKey, TicketKeys

LOOK_INTERVAL = 1.0
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
_GRACE = 10.0

_log = logging.getLogger("mailfront.server")


def bind_for_workers(configuration: Configuration, count: int) -> list[list[BoundPort]]:
    """Bind every port for each of `count` workers, or none. Our webmail is the first one's alone,
    because its sessions are in memory. Raises `ListenError` or `ConfigurationError`."""
    planned = planned_ports(configuration)
    check_distinct(planned)
    bound: list[list[BoundPort]] = [[] for _ in range(count)]
    try:
        for port in planned:
            if port.service == "http" and not passes_on(configuration):
                bound[0].append(BoundPort(port, _bound(port, shared=False)))
                continue
            # Another server that shares its ports would not be noticed by those that share them.
            _bound(port, shared=False).close()
            for of_worker in bound:
                of_worker.append(BoundPort(port, _bound(port, shared=True)))
    except BaseException:
        close_all(bound)
        raise
    return bound


def _bound(port: PortSettings, *, shared: bool) -> socket.socket:
    return bind(
        port.address,
        port.port,
        option=port.option,
        client_speaks_first=port.implicit_tls,
        shared=shared,
    )


def close_all(bound: Sequence[Sequence[BoundPort]]) -> None:
    """Close the sockets."""
    for of_worker in bound:
        for port in of_worker:
            port.listener.close()


class _Worker:
    """One place among the workers, and the process that is in it."""

    def __init__(self, place: WorkerPlace, ports: Sequence[BoundPort]) -> None:
        self.place = place
        self.ports = ports
        self.process: asyncio.subprocess.Process | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.ready = False
        self.status: ServerStatus | None = None

    @property
    def name(self) -> str:
        return f"worker {self.place.index + 1}"


class Supervisor:
    """Implements `StatusSource` for all workers together."""

    def __init__(
        self, root: ServerRoot, configuration: Configuration, bound: Sequence[Sequence[BoundPort]]
    ) -> None:
        self._root = root
        self._configuration = configuration
        self._bound = bound
        self._workers = [
            _Worker(WorkerPlace(index, len(bound)), ports) for index, ports in enumerate(bound)
        ]
        self._counters = Counters()
        self._started = datetime.now(UTC)
        self._stop = asyncio.Event()
        self._keys = TicketKeys()
        self._given: tuple[TicketKey, ...] = ()
        self._modified = 0

    def status(self) -> ServerStatus:
        """The workers' status of a moment ago."""
        away = [f"{worker.name} is not running" for worker in self._workers if not worker.ready]
        away += [
            f"{worker.name} does not answer"
            for worker in self._workers
            if worker.ready and worker.status is None
        ]
        known = [each.status for each in self._workers if each.status is not None]
        return merged(
            known,
            pid=os.getpid(),
            started=self._started,
            problems=away,
            counters=self._counters.values(),
        )

    async def run(
        self, admin: socket.socket | None, on_ready: Callable[[StatusSource], None]
    ) -> None:
        """Serve until asked to stop. Raises `OperatorError` if a worker does not start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._signal_all, signal.SIGHUP)
        self._look_at_keys()
        keepers = []
        admin_site = AdminSite(self)
        control = ControlServer(
            self._root.control_socket,
            {"status": self._tell_status, "reload": self._reload},
            {"kick": self._kick, "queue": self._operate_queue},
        )
        try:
            for worker in self._workers:
                # One after the other: what is wrong with options or passwords the first one tells.
                await self._spawn(worker)
                await self._await_start(worker)
                keepers.append(start_task(self._keep(worker), name=worker.name))
            if not self._stop.is_set():
                await self._ask_all()
                await control.start()
                if admin is not None:
                    await admin_site.start(admin)
                _log.info("ready: %d workers", len(self._workers))
                on_ready(self)
                notify("READY=1")
                await self._follow()
        finally:
            notify("STOPPING=1")
            self._stop.set()
            # Or new connections would wait where nobody accepts them.
            close_all(self._bound)
            await self._end_all()
            for keeper in keepers:
                keeper.cancel()
            await admin_site.stop()
            await control.stop()
        _log.info("stopped")

    async def _spawn(self, worker: _Worker) -> None:
        ours, theirs = socket.socketpair()
        descriptors = [port.listener.fileno() for port in worker.ports]
        environment = {name: text for name, text in os.environ.items() if name != "NOTIFY_SOCKET"}
        with theirs:
            worker.process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "mailfront.cli.worker", str(theirs.fileno()),
                pass_fds=(theirs.fileno(), *descriptors),
                stdin=asyncio.subprocess.DEVNULL,
                env=environment,
                # A Ctrl-C is for the supervisor, which ends its workers in order.
                start_new_session=True,
            )  # fmt: skip
        reader, worker.writer = await asyncio.open_connection(sock=ours)
        handover = Handover(
            root=self._root.path,
            place=worker.place,
            settings=self._configuration.settings(),
            ports=[(port.settings, port.listener.fileno()) for port in worker.ports],
            keys=self._given,
        )
        worker.writer.write(handover.line())
        start_task(self._await_ready(worker, reader), name=f"{worker.name} starting")

    async def _await_ready(self, worker: _Worker, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            worker.ready = await reader.readline() == READY

    async def _await_start(self, worker: _Worker) -> None:
        assert worker.process is not None
        while not worker.ready and not self._stop.is_set():
            if worker.process.returncode is not None:
                raise OperatorError(
                    f"{worker.name} of {worker.place.count} did not start",
                    remedy="its message stands above",
                )
            await asyncio.sleep(0.02)

    async def _keep(self, worker: _Worker) -> None:
        """Start the worker again whenever it ends."""
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
        while worker.process is not None:
            started = loop.time()
            code = await worker.process.wait()
            worker.ready, worker.status = False, None
            if worker.writer is not None:
                worker.writer.close()
            if self._stop.is_set():
                return
            pause = FIRST_PAUSE if loop.time() - started > LONGEST_PAUSE else 2 * pause
            pause = min(pause, LONGEST_PAUSE)
            _log.error(
                "%s (pid %d) ended with status %d; started again in %.1f s",
                worker.name, worker.process.pid, code, pause,
            )  # fmt: skip
            self._counters.add("workers.restarted")
            await asyncio.sleep(pause)
            while not self._stop.is_set():
                try:
                    await self._spawn(worker)
                    break
                except OSError as failure:
                    _log.error("%s cannot be started: %s", worker.name, failure)
                    await asyncio.sleep(LONGEST_PAUSE)

    async def _follow(self) -> None:
        while not self._stop.is_set():
            self._look_at_keys()
            await self._ask_all()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_INTERVAL):
                    await self._stop.wait()

    def _look_at_keys(self) -> None:
        """Give other ticket keys to the workers where it is time, or the lifetime changed."""
        with contextlib.suppress(OSError, OperatorError):
            modified = self._root.msg_conf.stat().st_mtime_ns
            if modified != self._modified:
                self._modified = modified
                options = load_configuration(self._root.msg_conf)
                self._keys.set_lifetime(options.integer("local.ssl.ticketlifetime"))
        keys = self._keys.in_use()
        if keys != self._given:
            self._given = keys
            for worker in self._workers:
                if worker.writer is not None and not worker.writer.is_closing():
                    worker.writer.write(keys_line(keys))

    async def _ask_all(self) -> None:
        answers = await asyncio.gather(*(self._ask(each, "status") for each in self._workers))
        for worker, answer in zip(self._workers, answers, strict=True):
            # One that died meanwhile has no status any more.
            known = answer is not None and worker.ready
            worker.status = ServerStatus.from_json(answer) if answer and known else None

    async def _ask(self, worker: _Worker, request: str) -> Answer | None:
        if not worker.ready:
            return None
        path: Path = worker.place.control_socket(self._root)
        try:
            return await asyncio.to_thread(ask_server, path, request)
        except OperatorError:
            return None

    async def _tell_status(self) -> Answer:
        await self._ask_all()
        return self.status().as_json()

    async def _reload(self) -> Answer:
        self._look_at_keys()
        answers = await asyncio.gather(*(self._ask(each, "reload") for each in self._workers))
        problems: dict[str, None] = {}
        for answer in answers:
            told = answer.get("problems") if answer is not None else None
            problems |= dict.fromkeys(map(str, told)) if isinstance(told, list) else {}
        return {"problems": list(problems)}

    async def _kick(self, address: str) -> Answer:
        asked = (self._ask(each, f"kick {address}") for each in self._workers)
        answers = [answer for answer in await asyncio.gather(*asked) if answer is not None]
        if any("error" in answer for answer in answers) or not answers:
            return next(iter(answers), {"error": "no worker answers"})
        ended = [answer["ended"] for answer in answers]
        return {**answers[0], "ended": sum(each for each in ended if isinstance(each, int))}

    async def _operate_queue(self, request: str) -> Answer:
        answer = await self._ask(self._workers[0], f"queue {request}")
        return answer or {"error": "the worker that delivers does not answer"}

    def _signal_all(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.process is not None and worker.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    worker.process.send_signal(number)

    async def _end_all(self) -> None:
        self._signal_all(signal.SIGTERM)
        running = [each.process.wait() for each in self._workers if each.process is not None]
        seconds = self._configuration.integer("service.draintimeout") + _GRACE
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*running)
        except TimeoutError:
            _log.error("workers did not end in time and are killed")
            self._signal_all(signal.SIGKILL)
