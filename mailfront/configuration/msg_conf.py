"""`config/msg.conf`: the options that an operator has set, over the defaults of the registry.

`load_configuration` takes the file and returns a `Configuration`, or raises with every problem of
the file at once. `set_option`, `delete_option` and `change_options` rewrite it: validated, comments
and order kept, atomic and durable, one writer at a time.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mailfront.configuration.durable_file import write_durably
from mailfront.configuration.option_lines import (
    LARGEST_FILE,
    OptionLines,
    Setting,
    parse_option_lines,
)
from mailfront.configuration.option_types import BadValueError, SecretFile, Value
from mailfront.configuration.registry import REGISTRY
from mailfront.errors import ConfigurationError, ConfigurationProblems

FILE_MODE = 0o600
MOST_PROBLEMS = 100
LOCK_PATIENCE = 10.0
LOCK_INTERVAL = 0.02


class Configuration:
    """The value of every option: what the file says, or the default.

    The accessors take names that the program itself writes; an unknown name, or one of another
    type, is a mistake of the program (`KeyError`, `TypeError`).
    """

    def __init__(self, values: Mapping[str, Value], lines: Mapping[str, int]) -> None:
        self._values = dict(values)
        self._lines = dict(lines)

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Configuration:
        """Return the configuration in which these options are set and no file is involved.

        Raises `ConfigurationError` for an unknown name or a bad value.
        """
        return cls({name: _validated(name, text) for name, text in settings.items()}, {})

    def value(self, name: str) -> Value:
        """Return an option's value, whatever its type."""
        option = REGISTRY[name]
        return self._values.get(name, option.default_value)

    def text(self, name: str) -> str:
        """Return the canonical text of an option's value."""
        return REGISTRY[name].type.text(self.value(name))

    def string(self, name: str) -> str:
        """Return the value of a string option."""
        value = self.value(name)
        if not isinstance(value, str):
            raise TypeError(f"{name} is not a string")
        return value

    def integer(self, name: str) -> int:
        """Return the value of a number, in the option's unit."""
        value = self.value(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} is not a number")
        return value

    def boolean(self, name: str) -> bool:
        """Return the value of a yes-or-no option."""
        value = self.value(name)
        if not isinstance(value, bool):
            raise TypeError(f"{name} is not a boolean")
        return value

    def names(self, name: str) -> tuple[str, ...]:
        """Return the value of a list, or the items of a string divided by commas."""
        value = self.value(name)
        if isinstance(value, str):
            return tuple(item.strip() for item in value.split(",") if item.strip())
        if not isinstance(value, tuple):
            raise TypeError(f"{name} is not a list of names")
        return value

    def is_set(self, name: str) -> bool:
        """Return whether the option is set, be it to its default."""
        return REGISTRY[name].name in self._values

    def settings(self) -> dict[str, str]:
        """Return the options that are set, with the canonical texts of their values, for `of`."""
        return {name: self.text(name) for name in self._values}

    def line_of(self, name: str) -> int | None:
        """Return the line of the file that sets the option, counted from 1."""
        return self._lines.get(REGISTRY[name].name)

    def differences(self, other: Configuration) -> frozenset[str]:
        """Return the names of the options whose values differ."""
        return frozenset(name for name in REGISTRY.names() if self.value(name) != other.value(name))


def load_configuration(path: Path) -> Configuration:
    """Read and validate `msg.conf`.

    Raises `ConfigurationProblems` with every problem in it (the first hundred), each with file,
    line and remedy.
    """
    try:
        lines = _read(path)
    except ConfigurationError as error:
        raise ConfigurationProblems([error]) from None
    settings = validated_settings(lines, path)
    return Configuration(
        {name: _validated(name, setting.text) for name, setting in settings.items()},
        {name: setting.line for name, setting in settings.items()},
    )


def validated_settings(lines: OptionLines, source: Path) -> dict[str, Setting]:
    """Return the settings by name, each of them valid and none there twice.

    Raises `ConfigurationProblems` with every problem (the first hundred) and its line in `source`.
    """
    settings: dict[str, Setting] = {}
    problems = [
        ConfigurationError(fault.what, remedy=fault.remedy, file=source, line=fault.line)
        for fault in lines.faults[:MOST_PROBLEMS]
    ]
    for setting in lines.settings:
        if len(problems) >= MOST_PROBLEMS:
            break
        problem = _problem_of(setting, settings.setdefault(setting.name, setting))
        if problem is not None:
            problem.file, problem.line = source, setting.line
            problems.append(problem)
    if problems:
        raise ConfigurationProblems(sorted(problems, key=lambda problem: problem.line or 0))
    return settings


def _problem_of(setting: Setting, first: Setting) -> ConfigurationError | None:
    if first is not setting:
        return _duplicate(setting, first.line)
    try:
        _validated(setting.name, setting.text)
    except ConfigurationError as error:
        return error
    return None


def set_option(path: Path, name: str, text: str) -> None:
    """Set one option in the file.

    Raises `ConfigurationError` for an unknown name, a bad value, or a file that cannot be changed.
    """
    change_options(path, {name: text})


def delete_option(path: Path, name: str) -> None:
    """Remove an option from the file, so that its default counts again.

    A name that no option has is removed too if the file contains it: that is the repair. Raises
    `ConfigurationError` for any other unknown name or a file that cannot be changed.
    """
    change_options(path, {name: None})


def change_options(path: Path, changes: Mapping[str, str | None]) -> None:
    """Set (text) or remove (None) several options: all of them or, if one is wrong, none.

    Raises `ConfigurationError`, or `ConfigurationProblems` if several are wrong.
    """
    texts: dict[str, str | None] = {}
    problems: list[ConfigurationError] = []
    for name, text in changes.items():
        try:
            texts[name] = None if text is None else _canonical(name, text)
        except ConfigurationError as error:
            problems.append(error)
    if len(problems) > 1:
        raise ConfigurationProblems(problems)
    if problems:
        raise problems[0]
    target = path.resolve()
    with _only_writer(target.parent):
        lines = _read(target)
        _require_changeable(path, lines, texts)
        content = lines.changed(texts)
        if len(content) > LARGEST_FILE:
            raise ConfigurationError(
                f"the file would become larger than {LARGEST_FILE} octets",
                remedy="remove comments or options that are not needed",
                file=path,
            )
        write_durably(target, content, mode=FILE_MODE)


def _canonical(name: str, text: str) -> str:
    value = _validated(name, text)
    return REGISTRY[name].type.text(value)


def _validated(name: str, text: str) -> Value:
    option = REGISTRY.find(name)
    try:
        return option.type.parse(text)
    except BadValueError as error:
        # What stands where a file should be named is perhaps the secret.
        shown = "this" if isinstance(option.type, SecretFile) else repr(text[:80])
        raise ConfigurationError(f"{shown} is not a value of {name}", remedy=str(error)) from None


def _read(path: Path) -> OptionLines:
    try:
        with path.open("rb") as stream:
            return parse_option_lines(stream.read(LARGEST_FILE + 1))
    except FileNotFoundError:
        raise ConfigurationError(
            "the file does not exist", remedy="`mailfront init` makes it", file=path
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"cannot be read: {error.strerror}",
            remedy="run the command as the user to whom the server root belongs",
            file=path,
        ) from None


def _duplicate(setting: Setting, first_line: int) -> ConfigurationError:
    return ConfigurationError(
        f"{setting.name} is set on line {first_line} and again on line {setting.line}",
        remedy="remove one of the two lines",
    )


def _require_changeable(path: Path, lines: OptionLines, texts: Mapping[str, str | None]) -> None:
    present: dict[str, Setting] = {}
    if not lines.raw and lines.faults:
        fault = lines.faults[0]
        raise ConfigurationError(fault.what, remedy=fault.remedy, file=path)
    for setting in lines.settings:
        first = present.setdefault(setting.name, setting)
        if first is not setting and texts.get(setting.name) is not None:
            error = _duplicate(setting, first.line)
            raise ConfigurationError(error.what, remedy=error.remedy, file=path, line=setting.line)
    for name in texts:
        if name not in present:
            REGISTRY.find(name)


@contextmanager
def _only_writer(directory: Path) -> Iterator[None]:
    """Hold the lock on the directory, which stays while the file in it is replaced."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ConfigurationError(
            f"cannot be opened: {error.strerror}",
            remedy="`mailfront init` makes the directory",
            file=directory,
        ) from None
    try:
        _lock(descriptor, directory)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, directory: Path) -> None:
    give_up = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise ConfigurationError(
                    "another command has been changing the configuration for "
                    f"{LOCK_PATIENCE:.0f} seconds",
                    remedy="wait for it, or end it",
                    file=directory,
                ) from None
            time.sleep(LOCK_INTERVAL)
        else:
            return
