"""Bind as root, serve as somebody else."""

from __future__ import annotations

import os
import pwd
import resource

from mailfront.errors import ConfigurationError


def drop_privileges(user_name: str) -> None:
    """Become `user_name` for good, with the groups of that user; an empty name changes nothing.

    Raises `ConfigurationError` if there is no such user, or we may not become it.
    """
    if not user_name:
        return
    try:
        user = pwd.getpwnam(user_name)
    except KeyError:
        raise ConfigurationError(
            f"local.serveruid names no user of this machine: {user_name!r}",
            remedy="create the user, or name another: configutil -o local.serveruid -v USER",
        ) from None
    if os.geteuid() == user.pw_uid:
        return
    if os.geteuid() != 0:
        raise ConfigurationError(
            f"only root can become the user {user_name!r} (local.serveruid)",
            remedy="start as root, or as that user",
        )
    os.initgroups(user_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def raise_file_limit() -> None:
    """As many open files as the kernel allows: every connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
