"""Builds the Dockerfile in Debian 13 trees, runs the unit tests there, then one real session.

Takes the working directory that `tests/debian13/run` made (with the tree `base` in it), inside
mount and process namespaces of its own, so nothing mounted or started here outlives it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from tests.debian13.dockerfile import Builder, Stage, parse

PROJECT = Path(__file__).parents[2]
PROJECT_IN_TREE = "usr/src/mailfront"
NETWORK_FILES = ("/etc/resolv.conf", "/etc/hosts")
PIP_FILES = ("/etc/pip.conf", "/root/.config/pip/pip.conf", "/root/.pip/pip.conf")
# Variables that name a file of CA certificates, and where the tree gets a copy of it: not the same
# place, which a package's installation may write anew.
CERTIFICATE_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
CERTIFICATES_IN_TREE = "/opt/build-machine"
# Seconds.
LIMIT, UNIT_TESTS_LIMIT, SESSION_LIMIT = 1800, 600, 300
# What a clone of the project would not have.
NOT_COPIED = (
    ".git",
    ".venv*",
    "var",
    "__pycache__",
    "*.egg-info",
    ".*_cache",
    ".hypothesis",
    "build",
)
SNAPSHOTS = "tests/integration/policies"
OPENSSL_VERSION = 'import ssl; print(*ssl.OPENSSL_VERSION_INFO[:2], sep=".")'
INSTALL_OPENSSL = (
    "apt-get update -qq && apt-get install --yes -qq --no-install-recommends openssl >/dev/null"
)
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


def main() -> None:
    """Run the three parts; any failure is the exit status."""
    work = Path(sys.argv[1])
    # This is the first process of its namespace, which signals reach only through a handler.
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"not finished in {LIMIT} s"))
    signal.alarm(LIMIT)
    builder = Builder(
        work=work,
        context=PROJECT,
        base={"debian:trixie-slim": work / "base"},
        build_environment=package_environment(),
        prepare=prepare,
    )
    print("== the Dockerfile's steps", flush=True)
    image = builder.build(parse((PROJECT / "Dockerfile").read_text()))
    print("== the unit tests", flush=True)
    run_unit_tests(builder.stages["build"])
    print("== a session", flush=True)
    run_session(image, clients=builder.stages["build"])
    print("== done", flush=True)


def package_environment() -> dict[str, str]:
    """Return what this machine's pip and apt need from the environment (index, proxy, CA)."""
    proxies = ("http_proxy", "https_proxy", "no_proxy")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PIP_") or name.lower() in proxies
    }
    certificates = {name: f"{CERTIFICATES_IN_TREE}/{name}.pem" for name in certificate_files()}
    return environment | certificates | {"DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}


def prepare(tree: Path) -> None:
    """Mount what programs expect, and give the tree this machine's way to its packages."""
    mount("-t", "proc", "proc", tree / "proc")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", tree / "dev")
    for device in DEVICES:
        (tree / "dev" / device).touch()
        mount("--bind", f"/dev/{device}", tree / "dev" / device)
    (tree / "dev/shm").mkdir(mode=0o1777)
    (tree / "dev/pts").mkdir()
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", tree / "dev/pts")
    (tree / "dev/ptmx").symlink_to("pts/ptmx")
    for name in (*NETWORK_FILES, *PIP_FILES):
        copy_into(tree, Path(name))
    certificates = tree / CERTIFICATES_IN_TREE.lstrip("/")
    certificates.mkdir()
    for name, path in certificate_files().items():
        shutil.copy(path, certificates / f"{name}.pem")
    for directory in pip_directories():
        inside = tree / directory.relative_to("/")
        inside.mkdir(parents=True, exist_ok=True)
        mount("--bind", "-o", "ro", str(directory), inside)


def mount(*arguments: object) -> None:
    """Mount in this process's namespace."""
    subprocess.run(["mount", *map(str, arguments)], check=True)


def copy_into(tree: Path, path: Path) -> None:
    """Copy a file of this machine to the same place in the tree, where it exists."""
    if path.is_file():
        inside = tree / path.relative_to("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, inside)


def certificate_files() -> dict[str, Path]:
    """Return the files of CA certificates that this machine's environment names, by variable."""
    named = {name: Path(os.environ.get(name, "")) for name in CERTIFICATE_VARIABLES}
    return {name: path for name, path in named.items() if path.is_file()}


def pip_directories() -> set[Path]:
    """Return the directories on this machine from which pip is configured to install."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    words = listed.stdout.replace("'", " ").split()
    paths = {Path(urlsplit(word).path) for word in words if word.startswith(("file://", "/"))}
    # An index of relative links reaches its files through the folder above it.
    paths |= {path.parent for path in paths if path.name == "simple"}
    return {path for path in paths if path.is_dir() and path != Path("/")}


def run_unit_tests(stage: Stage) -> None:
    """Run the quick tests on the tree's own Python, with the versions of what it is built on."""
    shutil.copytree(
        PROJECT,
        stage.tree / PROJECT_IN_TREE,
        ignore=shutil.ignore_patterns(*NOT_COPIED),
        dirs_exist_ok=True,
    )
    script = (
        "python3 -c 'import ssl, sys; print(sys.version, ssl.OPENSSL_VERSION, sep=\"; \")' && "
        f"cd /{PROJECT_IN_TREE} && python3 -m venv /opt/tests && "
        "/opt/tests/bin/pip install --quiet --editable '.[test]' && "
        "/opt/tests/bin/pytest -q tests/unit && "
        # What clients get of each policy must be what is recorded for this OpenSSL.
        f"test -f {SNAPSHOTS}/openssl-$(python3 -c '{OPENSSL_VERSION}').json && "
        "/opt/tests/bin/pytest -q tests/integration/test_policy_probe.py "
        "-k 'published_policy or recorded or two_certificates'"
    )
    subprocess.run(
        stage.command_line(["/bin/sh", "-c", script]),
        env=stage.environment | package_environment(),
        check=True,
        timeout=UNIT_TESTS_LIMIT,
    )


def run_session(image: Stage, clients: Stage) -> None:
    """Run `tests.debian13.session` on a network of its own, where no port is taken. `clients` is
    the tree that gets Debian's own openssl, to connect with."""
    subprocess.run(
        clients.command_line(["/bin/sh", "-c", INSTALL_OPENSSL]),
        env=clients.environment | package_environment(),
        stdin=subprocess.DEVNULL,
        check=True,
    )
    record = image.tree.with_name("image.json")
    record.write_text(json.dumps(asdict(image), default=str))
    program = [sys.executable, "-m", "tests.debian13.session", str(record), str(clients.tree)]
    subprocess.run(
        ["unshare", "--net", *program],
        check=True,
        timeout=SESSION_LIMIT,
    )


if __name__ == "__main__":
    main()
