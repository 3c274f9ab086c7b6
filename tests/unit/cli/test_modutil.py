"""`mailfront modutil`, with NSS's flags."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailfront.cli.modutil import add_parser
from mailfront.cli.output import run_command
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import set_option
from mailfront.keystore.pkcs11.modules import find_module, installed_modules
from tests.support.softhsm import SoftHsm

Run = Callable[..., int]


@pytest.fixture
def hsm(tmp_path: Path) -> Iterator[SoftHsm]:
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.new_token("HSM One")
    with hsm.in_this_process():
        yield hsm


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = ServerRoot(tmp_path / "root")
    root.config_directory.mkdir(parents=True)
    root.msg_conf.touch()
    root.sslpassword_conf.touch(mode=0o600)
    return root


@pytest.fixture
def run(root: ServerRoot) -> Run:
    def run(*arguments: str, where: tuple[str, ...] = ("--home", str(root.path))) -> int:
        parser = argparse.ArgumentParser(prog="mailfront")
        add_parser(parser.add_subparsers())

        def command() -> int:
            given = parser.parse_args(["modutil", *arguments, *where])
            exit_code: int = given.run(given)
            return exit_code

        return run_command(command)

    return run


def names(root: ServerRoot) -> list[str]:
    return [module.name for module in installed_modules(root)[1:]]


def test_a_module_is_added_and_what_its_tokens_need_is_said(
    run: Run, root: ServerRoot, hsm: SoftHsm, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-add", "softhsm", "-libfile", str(hsm.library), "-mechanisms", "EC:RSA") == 0
    said = capsys.readouterr().err
    assert 'Module "softhsm" added to database.' in said
    assert "add the line `HSM One:PIN`" in said
    module = find_module(installed_modules(root), "softhsm")
    assert (module.library, module.default_for) == (hsm.library, ("RSA", "EC"))


def test_a_library_that_does_not_work_is_refused_unless_forced(
    run: Run, root: ServerRoot, tmp_path: Path, hsm: SoftHsm
) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(hsm.library.read_bytes()[:4096])
    broken.chmod(0o755)
    assert run("-add", "broken", "-libfile", str(broken)) == 1
    assert names(root) == []
    assert run("-add", "broken", "-libfile", str(broken), "-force") == 0
    assert names(root) == ["broken"]


def test_one_that_others_could_change_is_refused_whoever_insists(
    run: Run, root: ServerRoot, tmp_path: Path, hsm: SoftHsm
) -> None:
    library = tmp_path / "module.so"
    library.write_bytes(hsm.library.read_bytes())
    library.chmod(0o777)
    assert run("-add", "open", "-libfile", str(library), "-force") == 1
    assert names(root) == []


@pytest.mark.usefixtures("hsm")
def test_modules_are_disabled_enabled_and_deleted(run: Run, root: ServerRoot, hsm: SoftHsm) -> None:
    run("-add", "softhsm", "-libfile", str(hsm.library))
    assert run("-disable", "softhsm") == 0
    assert not find_module(installed_modules(root), "softhsm").enabled
    assert run("-enable", "softhsm") == 0
    assert find_module(installed_modules(root), "softhsm").enabled
    assert run("-delete", "softhsm") == 0
    assert names(root) == []
    assert run("-delete", "softhsm") == 1


def test_the_default_for_mechanisms_is_set_and_taken_back(
    run: Run, root: ServerRoot, hsm: SoftHsm, capsys: pytest.CaptureFixture[str]
) -> None:
    run("-add", "softhsm", "-libfile", str(hsm.library))
    assert run("-default", "softhsm", "-mechanisms", "RSA") == 0
    assert "no effect" not in capsys.readouterr().err
    assert run("-default", "softhsm", "-mechanisms", "AES") == 0
    assert "AES has no effect" in capsys.readouterr().err
    assert run("-undefault", "softhsm", "-mechanisms", "AES") == 0
    assert run("-default", "softhsm", "-mechanisms", "EC") == 0
    assert find_module(installed_modules(root), "softhsm").default_for == ("RSA", "EC")
    assert run("-undefault", "softhsm", "-mechanisms", "RSA") == 0
    assert find_module(installed_modules(root), "softhsm").default_for == ("EC",)
    assert run("-default", "softhsm", "-mechanisms", "ROT13") == 1


def test_a_module_that_an_option_needs_is_deleted_only_by_force(
    run: Run, root: ServerRoot, hsm: SoftHsm, capsys: pytest.CaptureFixture[str]
) -> None:
    run("-add", "softhsm", "-libfile", str(hsm.library))
    set_option(root.msg_conf, "local.imap.sslnicknames", "HSM One:imap")
    assert run("-delete", "softhsm") == 1
    assert "local.imap.sslnicknames" in capsys.readouterr().err
    assert run("-delete", "softhsm", "-force") == 0


@pytest.mark.parametrize("name", ["internal", "Internal (Software) Token"])
def test_the_internal_module_stays(run: Run, name: str) -> None:
    assert run("-delete", name) == 1
    assert run("-disable", name) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("-add", "x"),
        ("-list", "-delete", "x"),
        ("-delete", "x", "-libfile", "/x.so"),
        ("-default", "x"),
        ("-delete", "x", "--json"),
        ("-list", "-slot", "1"),
    ],
)
def test_wrong_usage_is_told(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments) == 2


def test_nss_names_the_directory_of_the_database(run: Run, root: ServerRoot) -> None:
    assert run("-list", where=("-dbdir", f"sql:{root.certdb_directory}")) == 0
    assert run("-list", where=("-dbdir", "/nonexistent/certdb")) == 1
