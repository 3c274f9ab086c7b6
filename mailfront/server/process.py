"""The life of the server process: start in order, follow changes, drain, stop.

Order: configuration, log, lock, keystore, ports (all or none), services, control socket; only then
does anything accept. Stopping goes the other way round and loses no running command.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.machine import machine_name
from mailfront.configuration.msg_conf import Configuration, load_configuration
from mailfront.interfaces.status import CertificateStatus, StatusSource
from mailfront.interfaces.tasks import start_task
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.keystore import Keystore
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password, warning_about
from mailfront.keystore.watch import KeystoreWatch
from mailfront.listener.service_port import ServicePort
from mailfront.observability.counters import Counters
from mailfront.observability.log import start_logging
from mailfront.server.acceleration import Acceleration
from mailfront.server.admin import PORT_OPTION, AdminSite, bind_admin
from mailfront.server.certificates import ALPN, ServiceContexts
from mailfront.server.control import Answer, ControlServer
from mailfront.server.expiry_watch import ExpiryWatch
from mailfront.server.lock import ServerLock, require_no_server
from mailfront.server.named_certificates import bounded, server_names_status
from mailfront.server.notification import notify
from mailfront.server.ports import own_places
from mailfront.server.privileges import drop_privileges, raise_file_limit
from mailfront.server.reload import Reloader
from mailfront.server.server_trust import ServerTrust
from mailfront.server.sharing import Sharing
from mailfront.server.stapling import Stapling
from mailfront.server.status import StatusReport
from mailfront.server.supervisor import Supervisor, bind_for_workers
from mailfront.server.upstreams import Upstreams, upstream_trust
from mailfront.server.user_directory import directory_trust, open_directory
from mailfront.server.wiring import BoundPort, Services, bind_ports
from mailfront.server.worker_link import WorkerLink
from mailfront.server.worker_place import ALONE, WorkerPlace
from mailfront.tls.client_ocsp import ClientOcsp
from mailfront.tls.ocsp_fetch import fetch_response
from mailfront.tls.openssl import unavailable_settings
from mailfront.tls.pkcs11_provider import is_in_use
from mailfront.tls.token_handshakes import signing_threads

_log = logging.getLogger("mailfront.server")

# DESIGN: a change is followed within two seconds.
LOOK_INTERVAL = 1.0
# So long a token's last signature is waited for at the end.
SIGNATURE_SECONDS = 5.0
READY_LINE = "mailfront ready"

OnReady = Callable[[StatusSource], None]


def serve(root: ServerRoot, on_ready: OnReady | None = None) -> None:
    """Run the server on `root` until SIGTERM or SIGINT; `on_ready` is called once it accepts.

    Raises `OperatorError` if it cannot start; then nothing was started.
    """
    root.require_initialised()
    # Nothing that the server writes is for others.
    os.umask(0o077)
    configuration = load_configuration(root.msg_conf)
    require_no_server(root.lock_file)
    workers = configuration.integer("service.workers")
    bound = (
        [bind_ports(configuration)] if workers == 1 else bind_for_workers(configuration, workers)
    )
    admin = bind_admin(configuration.integer(PORT_OPTION))
    # Before anything is written, so that it belongs to the user who serves.
    drop_privileges(configuration.string("local.serveruid"))
    start_logging(configuration.string("logfile.default.loglevel"), log_file(root, configuration))
    lock = ServerLock(root.lock_file)
    try:
        if os.geteuid() == 0:
            _log.warning("running as root; set local.serveruid to an unprivileged user")
        if workers == 1:
            _serve_bound(root, configuration, bound[0], admin, on_ready or _say_ready)
        else:
            supervisor = Supervisor(root, configuration, bound)
            asyncio.run(supervisor.run(admin, on_ready or _say_ready))
    finally:
        lock.release()
    _leave()


def serve_as_worker(link: WorkerLink) -> None:
    """Serve the ports that the supervisor hands over, until it says to stop or is gone.

    Raises `OperatorError` if that cannot start.
    """
    os.umask(0o077)
    handover = link.receive()
    root = ServerRoot(handover.root)
    configuration = Configuration.of(handover.settings)
    start_logging(configuration.string("logfile.default.loglevel"), log_file(root, configuration))

    def tell_ready(_status: StatusSource) -> None:
        link.tell_ready()

    bound = handover.bound_ports()
    _serve_bound(root, configuration, bound, None, tell_ready, handover.place, link)
    _leave()


def _serve_bound(
    root: ServerRoot,
    configuration: Configuration,
    bound: list[BoundPort],
    admin: socket.socket | None,
    on_ready: OnReady,
    place: WorkerPlace = ALONE,
    link: WorkerLink | None = None,
) -> None:
    """Open the keystore and run the event loop."""
    raise_file_limit()
    watch = KeystoreWatch(root.certificate_database)
    password = read_password(root.sslpassword_conf, INTERNAL_TOKEN)
    if warning := warning_about(password):
        _log.warning(warning)
    for warning in unavailable_settings():
        _log.warning(warning)
    token = InternalToken.open(root.certificate_database, password)
    keystore = Keystore(root, token)
    keystore.look_at_tokens()
    server = _Server(root, configuration, keystore, watch, place, link)
    loop_factory = (
        uvloop.new_event_loop
        if configuration.string("service.eventloop") == "uvloop"
        else asyncio.new_event_loop
    )
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(server.run(bound, admin, on_ready))
    signing_threads().finish(SIGNATURE_SECONDS)


def _leave() -> None:
    """End a process that has PKCS#11 libraries in it without their clean-up, and OpenSSL's: the
    two crash each other at times, and everything is done and on disk."""
    if is_in_use():
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _say_ready(_status: StatusSource) -> None:
    sys.stdout.write(f"{READY_LINE}\n")
    sys.stdout.flush()


def log_file(root: ServerRoot, configuration: Configuration) -> Path | None:
    """Where the log goes: a file in the server root, or None for standard error."""
    destination = configuration.string("logfile.default.destination")
    return None if destination == "stderr" else root.path / destination


def host_name(configuration: Configuration) -> str:
    """The name by which the server greets."""
    return configuration.string("service.hostname") or machine_name()


class _Server:
    """What runs inside the event loop."""

    def __init__(
        self,
        root: ServerRoot,
        configuration: Configuration,
        keystore: Keystore,
        watch: KeystoreWatch,
        place: WorkerPlace,
        link: WorkerLink | None,
    ) -> None:
        self._place = place
        self._link = link
        self._root = root
        self._configuration = configuration
        self._stapling = Stapling(root.ocsp_directory, fetch_response)
        self._contexts = ServiceContexts(ALPN, self._stapling)
        self._contexts.acceleration = Acceleration(root, keystore)
        self._keystore = keystore
        token = keystore.internal
        self._contexts.load(configuration, keystore)
        self._client_ocsp = ClientOcsp(fetch_response)
        self._contexts.client_certificates.ocsp = self._client_ocsp
        self._contexts.client_certificates.load(configuration, token)
        self._directory_trust = directory_trust(configuration, token)
        self._server_trust = ServerTrust(token)
        self._sharing = Sharing(root, configuration, self._server_trust)
        self._sharing.give_ticket_keys(self._contexts.slots.values())
        if link is not None:
            for slot in self._contexts.slots.values():
                slot.ticket_keys.shared = slot.ticket_keys.shared or link.keys
        self._reloader = Reloader(
            root, configuration, token, watch, self._contexts, keystore, leads=place.leads
        )
        self._upstream_trust = upstream_trust(configuration, token)
        self._upstreams = Upstreams(
            root, configuration, (host_name(configuration), "localhost"), self._upstream_trust
        )
        self._reloader.on_keystore = self._follow_authorities
        self._counters = Counters()
        self._expiry = ExpiryWatch()
        self._certificates: list[CertificateStatus] = []
        self._status = StatusReport(
            configuration,
            self._counters,
            self._problems,
            lambda: self._stapling.described(self._certificates),
            lambda: self._contexts.warnings() + self._stapling.warnings(),
        )
        self._reloader.on_change = self._tell_rotation
        self._reloader.on_refusal = self._count_refusals
        self._stop = asyncio.Event()
        self._ports: list[ServicePort] = []
        self._services: Services | None = None

    async def run(
        self, bound: list[BoundPort], admin: socket.socket | None, on_ready: OnReady
    ) -> None:
        """Serve until asked to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._look_now)
        services = self._services = Services(
            self._root,
            self._configuration,
            host_name(self._configuration),
            self._counters,
            self._status,
            open_directory(self._root, self._configuration, self._directory_trust),
            self._upstreams,
            self._sharing.throttle or self._place.throttle(),
            self._place,
            self._sharing.recent_logins,
        )
        self._sharing.start()
        services.logins.judge_certificates(
            lambda: self._contexts.client_certificates.trust, self._client_ocsp.confirm
        )
        self._ports = await services.ports(bound, self._contexts)
        self._upstreams.listens_on(own_places(self._ports))
        self._status.ports = self._ports
        if services.outgoing is not None:
            self._status.queue = services.outgoing.status
            services.outgoing.sign_with(self._keystore.internal)
        if services.outgoing is not None and self._place.leads:
            services.outgoing.start(self._keystore.internal, self._keystore.credentials)
        self._status.event_loop = type(loop).__module__.partition(".")[0]
        control = ControlServer(
            self._place.control_socket(self._root),
            {"status": self._tell_status, "reload": self._reload},
            {"kick": services.kick, "queue": services.operate_queue},
        )
        await control.start()
        admin_site = AdminSite(self._status)
        if admin is not None:
            await admin_site.start(admin)
        for port in self._ports:
            await port.start()
        if self._link is not None:
            start_task(self._link.follow(self._stop), name="supervisor")
            # The file may have changed since the supervisor read it.
            await self._reloader.look(forced=True)
        _log.info("ready: %d ports", len(self._ports))
        on_ready(self._status)
        notify("READY=1")
        await self._follow_changes()
        notify("STOPPING=1")
        await self._stapling.close()
        await self._drain()
        await services.close()
        await self._sharing.close()
        await admin_site.stop()
        await control.stop()
        _log.info("stopped")

    async def _follow_changes(self) -> None:
        while not self._stop.is_set():
            try:
                await self._reloader.look()
                self._stapling.look()
                await self._upstreams.look()
                await self._look_at_expiry()
            except Exception:
                # What is served stays; a server that ended here would serve nothing.
                _log.exception("a look for changes failed; the next follows")
            try:
                async with asyncio.timeout(LOOK_INTERVAL):
                    await self._stop.wait()
            except TimeoutError:
                continue

    async def _look_at_expiry(self) -> None:
        now = datetime.now(UTC)
        if self._expiry.due(now):
            certificates = await self._reloader.look_at_certificates(now)
            self._expiry.look(certificates, now)
            self._certificates = bounded(certificates)
            self._status.server_names = server_names_status(self._contexts, now)

    def _tell_rotation(self, services: Sequence[str]) -> None:
        """One line per port whose certificate changed."""
        for port in self._ports:
            slot = port.slot
            if slot.service not in services or slot.current is None:
                continue
            # The policy may be what is new, or the chain.
            if slot.current.fingerprint != slot.replaced_fingerprint:
                _log.info(
                    "port=%s address=%s:%d nickname=%s fingerprint=%s replaced=%s",
                    port.service, port.settings.address or "*", port.bound_port,
                    slot.current.nickname, slot.current.fingerprint, slot.replaced_fingerprint,
                )  # fmt: skip
                self._counters.add(f"{port.service}.certificates_rotated")
        succession = self._contexts.succession
        for name, number in (("rotated", succession.rotations), ("refused", succession.refusals)):
            known = self._counters.values().get(counter := f"sni.certificates_{name}", 0)
            if number > known:
                self._counters.add(counter, number - known)
        self._expiry.look_again()

    def _count_refusals(self, services: Sequence[str]) -> None:
        for port in self._ports:
            if port.slot.service in services:
                self._counters.add(f"{port.service}.certificates_refused")

    def _look_now(self) -> None:
        start_task(self._reloader.look(forced=True), name="reload")

    async def _drain(self) -> None:
        """No new connections; running commands finish, for a bounded time."""
        assert self._services is not None
        for port in self._ports:
            port.stop_accepting()
            port.stop_sessions()
        self._services.stop_web()
        try:
            async with asyncio.timeout(self._configuration.integer("service.draintimeout")):
                await self._drained()
        except TimeoutError:
            left = sum(port.cut_sessions() for port in self._ports)
            _log.warning("%d connections did not end in time and were cut", left)
            await self._drained()

    async def _drained(self) -> None:
        for port in self._ports:
            await port.drained()

    def _follow_authorities(self, token: InternalToken) -> None:
        self._directory_trust.follow(token)
        self._server_trust.follow(token)
        self._upstream_trust.follow(token)
        if self._services is not None and self._services.outgoing is not None:
            self._services.outgoing.follow(token)

    def _problems(self) -> list[str]:
        problems = self._contexts.problems() + self._reloader.problems()
        problems += self._stapling.problems()
        problems += self._upstreams.problems()
        problems += self._sharing.problems()
        if self._services is not None:
            problems += self._services.problems()
        waiting = self._reloader.waiting_for_restart()
        if waiting:
            problems.append("changed, but waiting for a restart: " + ", ".join(waiting))
        return problems

    async def _tell_status(self) -> Answer:
        return self._status.status().as_json()

    async def _reload(self) -> Answer:
        await self._reloader.look(forced=True)
        if self._services is not None:
            self._services.channels.look()
        return {"problems": self._problems()}
