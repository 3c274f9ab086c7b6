"""Programs that tests need beside mailfront: found, or the test is skipped; with CI=true it fails.

A pipeline that silently skipped its interoperability tests would be green for the wrong reason.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

# Where Debian keeps daemons; not in the PATH of every user.
_DAEMON_DIRECTORIES = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def require_program(name: str, package: str | None = None) -> Path:
    """Return the path of program `name`, which Debian has in `package` (default: the same name)."""
    search = os.pathsep.join([os.environ.get("PATH", ""), *_DAEMON_DIRECTORIES])
    found = shutil.which(name, path=search)
    if found is not None:
        return Path(found)
    missing = f"{name} is not installed (Debian package {package or name})"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)
