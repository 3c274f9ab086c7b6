"""Mail clients as processes: openssl s_client, swaks and curl against a server on loopback.

Passwords go in by files and environment, as they should on a machine with other users.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from cryptography import x509

from tests.support.peers import require_program
from tests.support.ports import LOOPBACK

DEADLINE = 60


def run(
    arguments: list[str], *, text_input: str = "", deadline: float = DEADLINE
) -> subprocess.CompletedProcess[str]:
    """Run a client to its end with a deadline; nothing is asserted."""
    return subprocess.run(
        arguments,
        input=text_input,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=deadline,
        check=False,
    )


def served_certificate(port: int, starttls: str | None = None) -> x509.Certificate:
    """Return the certificate that `openssl s_client` is shown; `starttls` is its name of the
    protocol (smtp, imap, pop3)."""
    openssl = require_program("openssl")
    arguments = [str(openssl), "s_client", "-connect", f"{LOOPBACK}:{port}"]
    arguments += ["-servername", "localhost"]
    arguments += ["-starttls", starttls] if starttls else []
    session = run(arguments)
    begin = session.stdout.find("-----BEGIN CERTIFICATE-----")
    assert begin >= 0, session.stdout + session.stderr
    return x509.load_pem_x509_certificate(session.stdout[begin:].encode())


def deliver(port: int, sender: str, recipient: str, *more: str) -> str:
    """Send a message with swaks over STARTTLS; return the conversation. Fails if refused."""
    sent = swaks(port, "--from", sender, "--to", recipient, "--tls", *more)
    assert sent.returncode == 0, sent.stdout + sent.stderr
    return sent.stdout


def swaks(port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run swaks against a port on loopback."""
    program = require_program("swaks")
    return run([str(program), "--server", LOOPBACK, "--port", str(port), *arguments])


def curl(
    directory: Path, user: str, password: str, url: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run curl with user and password from a private configuration file in `directory`."""
    program = require_program("curl")
    configuration = directory / "curl.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(f'user = "{user}:{password}"\n')
    quiet = ["--silent", "--show-error", "--insecure", "--max-time", "30"]
    return run([str(program), *quiet, "--config", str(configuration), *arguments, url])
