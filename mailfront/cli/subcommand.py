"""The types of what adds subcommands: `argparse`'s own, and what `mailfront user` gives."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
AddCommand: TypeAlias = Callable[
    [Subparsers, str, str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser
]
"""Adds a subcommand by name, summary and what runs it; returns its parser."""
