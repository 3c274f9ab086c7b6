"""The commented default configuration: where it is found, and how it comes into a server root.

It stands in the repository's `config/`; an installation carries it as data files in
`share/mailfront/config`. Takes a `ServerRoot`, gives the paths of the files that it made.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Sequence
from pathlib import Path

from mailfront.configuration.durable_file import write_durably
from mailfront.configuration.home import ServerRoot
from mailfront.errors import ConfigurationError

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
INSTALLED_DIRECTORY = Path("share", "mailfront", "config")
FILE_NAMES = ("msg.conf", "sslpassword.conf", "certmap.conf", "imta.cnf", "users.ldif")


def default_configuration_directory() -> Path:
    """Return the directory of the default files, of the checkout or of the installation.

    Raises `ConfigurationError` if there is none.
    """
    checkout = Path(__file__).resolve().parents[2]
    candidates = [checkout / "config"] if (checkout / "pyproject.toml").is_file() else []
    candidates += [
        Path(sysconfig.get_path("data", scheme)) / INSTALLED_DIRECTORY
        for scheme in (
            sysconfig.get_default_scheme(),
            sysconfig.get_preferred_scheme("user"),
        )
    ]
    for directory in candidates:
        if (directory / FILE_NAMES[0]).is_file():
            return directory
    raise ConfigurationError(
        "the default configuration files are not installed",
        remedy=f"install mailfront again; they belong into {candidates[-2]}",
    )


def install_default_configuration(
    root: ServerRoot, names: Sequence[str] = FILE_NAMES
) -> tuple[Path, ...]:
    """Copy the default files `names` into the server root; return the paths of those made.

    Directories get mode 0700 and files 0600. A file that is already there is left alone.
    """
    source = default_configuration_directory()
    for directory in (root.path, root.config_directory):
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        directory.chmod(DIRECTORY_MODE)
    made: list[Path] = []
    for name in names:
        target = root.config_directory / name
        if not target.exists():
            write_durably(target, (source / name).read_bytes(), mode=FILE_MODE)
            made.append(target)
    return tuple(made)
