"""A small interpreter of the Dockerfile, for machines without a container engine.

Takes the instructions that ours uses and a Debian tree to start from; returns a tree for each
stage and what the image declares. An instruction or flag it does not know is an error, so that
it never claims to have done a step that it skipped. https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import string
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class DockerfileError(Exception):
    """The Dockerfile uses something that this interpreter does not know, or is wrong."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction with its continuation lines joined; `line` is where it begins."""

    line: int
    keyword: str
    text: str


@dataclass(slots=True)
class Stage:
    """One stage: its tree on disk and what it declares so far."""

    tree: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": DEFAULT_PATH})
    directory: str = "/"
    user: str = "root"
    entry_point: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health_check: list[str] = field(default_factory=list)
    stop_signal: str = "SIGTERM"
    ports: list[int] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)

    def inside(self, path: str) -> Path:
        """Return the path on this machine of a path in the stage."""
        return self.tree / (Path(self.directory) / path).relative_to("/")

    def command_line(self, arguments: list[str]) -> list[str]:
        """Return the command that runs `arguments` in the tree as the stage's user."""
        chroot = ["chroot", f"--userspec={self.user}:{self.user}", str(self.tree)]
        return [*chroot, "/usr/bin/env", "--chdir", self.directory, *arguments]


def parse(text: str) -> list[Instruction]:
    """Return the instructions of a Dockerfile; raises `DockerfileError`."""
    instructions = []
    begun, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if not begun:
            start = number
        if line.endswith("\\"):
            begun += line[:-1] + " "
            continue
        keyword, _, rest = (begun + line).partition(" ")
        instructions.append(Instruction(start, keyword.upper(), rest.strip()))
        begun = ""
    if begun:
        raise DockerfileError(f"line {start}: the last line ends in a continuation")
    return instructions


class Builder:
    """Carries instructions out. `base` maps an image name to a tree; `context` is the project.

    `build_environment` is seen by RUN only and is not part of the image; `prepare` is called with
    every new tree before its first step.
    """

    def __init__(
        self,
        *,
        work: Path,
        context: Path,
        base: Mapping[str, Path],
        build_environment: Mapping[str, str],
        prepare: Callable[[Path], None],
    ) -> None:
        self._work = work
        self._context = context
        self._base = base
        self._build_environment = dict(build_environment)
        self._prepare = prepare
        self.stages: dict[str, Stage] = {}
        self._steps: dict[str, Callable[[Stage, str], None]] = {
            "RUN": self._run,
            "COPY": self._copy,
            "ENV": self._env,
            "WORKDIR": self._workdir,
            "USER": self._user,
            "VOLUME": self._volume,
            "EXPOSE": self._expose,
            "STOPSIGNAL": self._stop_signal,
            "HEALTHCHECK": self._health_check,
            "ENTRYPOINT": self._entry_point,
            "CMD": self._command,
        }

    def build(self, instructions: Iterable[Instruction]) -> Stage:
        """Carry out every instruction; return the last stage."""
        stage: Stage | None = None
        for instruction in instructions:
            print(f"-- {instruction.keyword} {instruction.text}", flush=True)
            if instruction.keyword == "FROM":
                stage = self._from(instruction)
            elif instruction.keyword not in self._steps or stage is None:
                raise DockerfileError(f"line {instruction.line}: {instruction.keyword} is unknown")
            else:
                self._steps[instruction.keyword](stage, instruction.text)
        if stage is None:
            raise DockerfileError("no FROM")
        return stage

    def _from(self, instruction: Instruction) -> Stage:
        matched = re.fullmatch(r"(\S+)(?:\s+AS\s+(\S+))?", instruction.text, re.IGNORECASE)
        if matched is None or matched[1] not in self._base:
            raise DockerfileError(f"line {instruction.line}: no base for {instruction.text}")
        name = matched[2] or f"stage-{len(self.stages)}"
        tree = self._work / name
        subprocess.run(
            ["cp", "--archive", "--reflink=auto", str(self._base[matched[1]]), str(tree)],
            check=True,
        )
        self._prepare(tree)
        self.stages[name] = Stage(tree)
        return self.stages[name]

    def _run(self, stage: Stage, text: str) -> None:
        if text.startswith(("[", "--")):
            raise DockerfileError(f"RUN: only the shell form is known: {text}")
        subprocess.run(
            stage.command_line(["/bin/sh", "-c", text]),
            env=stage.environment | self._build_environment,
            stdin=subprocess.DEVNULL,
            check=True,
        )

    def _copy(self, stage: Stage, text: str) -> None:
        *sources, target = shlex.split(text)
        origin = self._context
        if sources and sources[0].startswith("--from="):
            origin = self.stages[sources.pop(0).removeprefix("--from=")].tree
        if not sources or any(source.startswith("--") for source in sources):
            raise DockerfileError(f"COPY: not understood: {text}")
        destination = stage.inside(target)
        for source in sources:
            path = origin / source.lstrip("/")
            if path.is_dir():
                shutil.copytree(path, destination, symlinks=True, dirs_exist_ok=True)
            elif target.endswith("/"):
                destination.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, destination)
            else:
                shutil.copy2(path, destination)

    def _env(self, stage: Stage, text: str) -> None:
        before = dict(stage.environment)
        for assignment in shlex.split(text):
            name, equals, value = assignment.partition("=")
            if not equals:
                raise DockerfileError(f"ENV: only NAME=value is known: {text}")
            stage.environment[name] = string.Template(value).substitute(before)

    def _workdir(self, stage: Stage, text: str) -> None:
        stage.directory = str(Path(stage.directory) / text)
        stage.inside(".").mkdir(parents=True, exist_ok=True)

    def _user(self, stage: Stage, text: str) -> None:
        stage.user = text

    def _volume(self, stage: Stage, text: str) -> None:
        stage.volumes += shlex.split(text)

    def _expose(self, stage: Stage, text: str) -> None:
        stage.ports += [int(port) for port in text.split()]

    def _stop_signal(self, stage: Stage, text: str) -> None:
        stage.stop_signal = text

    def _health_check(self, stage: Stage, text: str) -> None:
        _, found, command = text.partition("CMD ")
        if not found:
            raise DockerfileError(f"HEALTHCHECK: only CMD is known: {text}")
        stage.health_check = exec_form(command)

    def _entry_point(self, stage: Stage, text: str) -> None:
        stage.entry_point = exec_form(text)

    def _command(self, stage: Stage, text: str) -> None:
        stage.command = exec_form(text)


def exec_form(text: str) -> list[str]:
    """Return the words of `["program", "argument"]`; raises `DockerfileError`."""
    try:
        words = json.loads(text)
    except ValueError:
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise DockerfileError(f"only the exec form is known: {text}")
    return words
