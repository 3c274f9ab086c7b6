"""One session with the image: start its command as its user, use it with real clients, stop it.

Takes the record of the image that `tests.debian13.rehearse` wrote, and the tree that has Debian's
own openssl. Runs in a network namespace of its own, so that the image's ports are free; the other
clients are this machine's.
"""

from __future__ import annotations

import fcntl
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.debian13.dockerfile import Stage

READY = "mailfront ready"
USER = "alice@example.test"
SERVER_ROOT = "var/lib/mailfront"
IMAPS, HTTPS, SMTP, SUBMISSION = 2993, 2443, 2525, 2587
STARTTLS = ["-starttls", "smtp"]
HYBRID = "X25519MLKEM768"
# The words of s_client have changed with its versions.
GROUP = re.compile(
    r"^(?:Negotiated TLS1\.3 group|Peer Temp Key|Server Temp Key): ([^,\s]+)", re.MULTILINE
)
START_DEADLINE, STOP_DEADLINE, CLIENT_DEADLINE = 60, 30, 30
# From linux/sockios.h and linux/if.h.
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def main() -> None:
    """Fail with an exit status if any step does."""
    record = json.loads(Path(sys.argv[1]).read_text())
    image = Stage(**record | {"tree": Path(record["tree"])})
    bring_loopback_up()
    output = image.tree.with_name("session.stdout")
    with output.open("wb") as stdout:
        server = subprocess.Popen(
            image.command_line([*image.entry_point, *image.command]),
            env=image.environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
        )
    try:
        wait_until_ready(server, output)
        print(output.read_text())
        use(image)
        see_hybrid(Stage(Path(sys.argv[2])))
    finally:
        server.send_signal(signal.Signals[image.stop_signal])
        status = server.wait(STOP_DEADLINE)
    if status != 0:
        raise SystemExit(f"the server ended with status {status}")


def bring_loopback_up() -> None:
    """Switch on the loopback interface of a fresh network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        name, flags = struct.unpack_from("16sh", fcntl.ioctl(control, SIOCGIFFLAGS, request))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", name, flags | IFF_UP))


def wait_until_ready(server: subprocess.Popen[bytes], output: Path) -> None:
    """Return once the server says that it is ready."""
    deadline = time.monotonic() + START_DEADLINE
    while READY not in output.read_text().splitlines():
        if server.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the server did not start:\n{output.read_text()}")
        time.sleep(0.1)


def use(image: Stage) -> None:
    """See the certificate, read the welcome message, open the web page, ask for the health."""
    tls = client("openssl", "s_client", "-brief", "-connect", f"127.0.0.1:{IMAPS}")
    print(*(line for line in tls.splitlines() if "rotocol" in line or "ipher" in line), sep="\n")
    password = initial_password(image.tree / SERVER_ROOT / "initial-passwords.txt")
    with tempfile.NamedTemporaryFile("w") as configuration:
        configuration.write(f'user = "{USER}:{password}"\n')
        configuration.flush()
        message = curl(configuration.name, f"imaps://127.0.0.1:{IMAPS}/INBOX;MAILINDEX=1")
    print(*(line for line in message.splitlines() if line.startswith("Subject:")))
    page = curl("/dev/null", f"https://127.0.0.1:{HTTPS}/", "--location")
    if "<form" not in page:
        raise SystemExit(f"no sign-in page:\n{page}")
    subprocess.run(
        image.command_line(image.health_check),
        env=image.environment,
        check=True,
        timeout=CLIENT_DEADLINE,
    )


def see_hybrid(clients: Stage) -> None:
    """Debian's own OpenSSL, in the tree `clients`, gets the post-quantum hybrid group."""
    print(client(*clients.command_line(["openssl", "version"])).strip())
    for port, arguments in ((IMAPS, []), (SMTP, STARTTLS), (SUBMISSION, STARTTLS)):
        address = f"127.0.0.1:{port}"
        session = client(
            *clients.command_line(["openssl", "s_client", *arguments, "-connect", address])
        )
        told = GROUP.search(session)
        if told is None or told[1] != HYBRID:
            raise SystemExit(f"port {port}: the group is not {HYBRID}:\n{session}")
        print(f"port {port}: {told[0]}")


def curl(configuration: str, address: str, *options: str) -> str:
    """Fetch with curl; the certificate is self-signed."""
    return client("curl", "-sSk", "--config", configuration, *options, address)


def client(*arguments: str) -> str:
    """Run a client of this machine to its end; return what it wrote."""
    ended = subprocess.run(
        arguments,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=CLIENT_DEADLINE,
        check=False,
    )
    if ended.returncode != 0:
        raise SystemExit(f"{arguments[0]} failed:\n{ended.stdout}{ended.stderr}")
    return ended.stdout + ended.stderr


def initial_password(file: Path) -> str:
    """Return the demo user's password from the file that the first start wrote."""
    for line in file.read_text().splitlines():
        address, _, password = line.partition(" ")
        if address == USER:
            return password.strip()
    raise SystemExit(f"{file} does not tell the password of {USER}")


if __name__ == "__main__":
    main()
