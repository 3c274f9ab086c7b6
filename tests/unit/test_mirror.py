"""`tests/unit` mirrors `mailfront` file by file: `mailfront/a/b.py` ↔ `tests/unit/a/test_b.py`."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SOURCES = REPOSITORY / "mailfront"
TESTS = REPOSITORY / "tests" / "unit"

# Modules without a unit test of their own, each with the reason.
EXCEPTIONS: dict[str, str] = {
    "__main__.py": "two lines; every integration test goes through it or its twin",
    "version.py": "a constant",
    "backend/upstream/connecting.py": "sockets; tests/interop/test_upstream_dovecot.py",
    "backend/upstream/smtp_channel.py": "test_smtp.py beside it talks through it",
    "backend/upstream/probing.py": "sockets; tests/interop/test_upstream_dovecot.py",
    "backend/upstream/web.py": "sockets; tests/integration/test_reverse_proxy.py",
    "backend/upstream/session.py": "sockets; tests/interop/test_upstream_dovecot.py",
    "channels/channel.py": "a record and enumerations without logic",
    "cli/worker.py": "three lines; tests/integration/test_workers.py goes through it",
    "cli/subcommand.py": "the name of a type",
    "directory/directory.py": "a Protocol alone",
    "front/login_channel.py": "a record without logic",
    "front/smtp/incoming.py": "a Protocol alone",
    "front/http/reverse_proxy/application.py": "tests/integration/test_reverse_proxy.py serves it",
    "front/http/reverse_proxy/proxy.py": "streams; tests/integration/test_reverse_proxy.py",
    "front/http/reverse_proxy/settings.py": "a record without logic",
    "front/http/reverse_proxy/upload.py": "streams; tests/integration/test_reverse_proxy.py",
    "front/http/reverse_proxy/web_socket.py": "streams; tests/integration/test_reverse_proxy.py",
    "interfaces/web_servers.py": "a Protocol and a record without logic",
    "interfaces/authenticator.py": "a Protocol and records without logic",
    "interfaces/backend.py": "a Protocol and a record without logic",
    "interfaces/credentials.py": "records without logic; test_scram.py looks at their repr",
    "interfaces/mail_relay.py": "Protocols and records without logic",
    "interfaces/mail_reader.py": "a Protocol and records without logic",
    "interfaces/message_sink.py": "Protocols and a record without logic",
    "interfaces/recent_logins.py": "a Protocol alone",
    "configuration/options/pop_before_smtp.py": "two options; test_smtp.py beside it has them",
    "interfaces/transport.py": "Protocols alone",
    "tls/connection_owner.py": "a Protocol alone",
    "server/process.py": "the whole process: tests/integration runs it in every file",
    "sharing/redis_client.py": "sets up a library; tests/interop/test_shared_store.py",
    "sharing/store.py": "sockets; tests/interop/test_shared_store.py",
    "server/supervisor.py": "processes; tests/integration/test_workers.py",
    "store/message_record.py": "records and an enumeration without logic",
    "outgoing/delivery_result.py": "Protocols, records and an enumeration without logic",
    "outgoing/deliverer.py": "sockets; tests/integration/test_outgoing_delivery.py",
    "outgoing/smtp_connection.py": "sockets; tests/integration/test_outgoing_delivery.py",
    "outgoing/smtp_session.py": "sockets; tests/integration/test_outgoing_delivery.py",
    "outgoing/smtp_transaction.py": "sockets; tests/integration/test_outgoing_delivery.py",
    "server/sending.py": "joins parts; what it joins is tested, and the whole by tests/integration",
    "server/outgoing.py": "joins parts; tests/integration/test_outgoing_mail.py",
    "server/upstreams.py": "joins parts; tests/interop/test_upstream_dovecot.py",
    "server/wiring.py": "joins parts without a decision of its own; tests/integration serves by it",
    "tls/doctor/examination.py": "probe after probe; tests/integration/test_doctor.py runs it",
}
# Tests of the repository itself and of what the tests are made of.
OTHER_TESTS = ("test_mirror.py", "test_documentation.py", "support/*")


def modules() -> set[str]:
    paths = (path.relative_to(SOURCES) for path in SOURCES.rglob("*.py"))
    return {path.as_posix() for path in paths if path.name != "__init__.py"}


def module_of(test: Path) -> str:
    return test.with_name(test.name.removeprefix("test_")).as_posix()


def covered_modules() -> set[str]:
    paths = (path.relative_to(TESTS) for path in TESTS.rglob("test_*.py"))
    return {module_of(path) for path in paths if not any(map(path.match, OTHER_TESTS))}


def test_every_module_has_its_unit_test() -> None:
    assert sorted(modules() - covered_modules() - set(EXCEPTIONS)) == []


def test_every_unit_test_has_its_module() -> None:
    assert sorted(covered_modules() - modules()) == []


def test_no_exception_outlives_its_reason() -> None:
    assert sorted(set(EXCEPTIONS) - modules()) == []
    assert sorted(set(EXCEPTIONS) & covered_modules()) == []
