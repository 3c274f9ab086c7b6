"""Asking PKCS#11 modules in a process of its own, which may hang or crash instead of ours.

`ask` takes the name of a module of ours that is such a program and its arguments, and returns what
it wrote; `answer` is the program's side. Arguments are no secrets. Raises `TokenError`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NoReturn

from mailfront.errors import TokenError

# A network HSM that does not answer is given up by its own library within this, or by us.
TIME_LIMIT = 30.0
MAXIMUM_ANSWER = 64 * 1024 * 1024


def ask(program: str, *arguments: str, time_limit: float = TIME_LIMIT) -> bytes:
    """Run the program and return its answer."""
    command = [sys.executable, "-m", program, *arguments]
    try:
        finished = subprocess.run(  # noqa: S603 (this Python, a module of ours)
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=time_limit, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TokenError(
            f"the PKCS#11 modules did not answer within {time_limit:.0f} seconds",
            remedy="disable the one that hangs: mailfront modutil -disable NAME",
            temporary=True,
        ) from error
    except OSError as error:
        raise TokenError(f"the PKCS#11 modules cannot be asked: {error.strerror}") from error
    if finished.returncode != 0 or len(finished.stdout) > MAXIMUM_ANSWER:
        raise TokenError(
            f"a PKCS#11 module ended the process that asked it (status {finished.returncode})",
            remedy="`mailfront modutil -list NAME` tells which; disable it",
            temporary=True,
        )
    return finished.stdout


def take_stdout() -> int:
    """Return a descriptor of stdout for `answer`; what libraries print goes to stderr."""
    own = os.dup(1)
    os.dup2(2, 1)
    return own


def answer(descriptor: int, content: bytes) -> NoReturn:
    """Write the answer and end the process at once, without the clean-up of modules: some of them
    crash in it."""
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    sys.stderr.flush()
    os._exit(0)
