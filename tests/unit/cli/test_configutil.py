"""`configutil`: exit code, stdout and stderr together."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailfront.cli.configutil import main
from mailfront.configuration.default_files import install_default_configuration
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.options_page import options_page
from mailfront.configuration.registry import REGISTRY

CHECKOUT = Path(__file__).parents[3]
RESTART = "takes effect when the server is started again"
LIVE = "a running server follows within two seconds"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = ServerRoot(tmp_path / "root")
    install_default_configuration(root)
    return root


@pytest.fixture
def configutil(
    root: ServerRoot, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str, given: str = "", home: str | None = None) -> Outcome:
        monkeypatch.setenv("MAILFRONT_HOME", str(root.path) if home is None else home)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        code = main(arguments)
        return Outcome(code, *capfd.readouterr())

    return run


def test_getting_prints_the_value_and_nothing_else(configutil: Run) -> None:
    assert configutil("-o", "service.imap.port") == Outcome(0, "143\n", "")
    assert configutil("-o", "service.imap.enable") == Outcome(0, "yes\n", "")
    assert configutil("-o", "service.defaultdomain") == Outcome(0, "\n", "")


def test_setting_says_when_it_counts_and_getting_shows_it(configutil: Run) -> None:
    assert configutil("-o", "service.imap.port", "-v", "2143") == Outcome(
        0, "", f"service.imap.port = 2143: {RESTART}\n"
    )
    assert configutil("-o", "service.imap.port") == Outcome(0, "2143\n", "")
    assert configutil("-o", "local.imap.sslnicknames", "-v", "imap cert") == Outcome(
        0, "", f'local.imap.sslnicknames = "imap cert": {LIVE}\n'
    )
    assert configutil("-o", "local.imap.sslnicknames") == Outcome(0, "imap cert\n", "")


def test_a_negative_looking_value_is_judged_as_a_value(configutil: Run) -> None:
    assert configutil("-o", "service.imap.port", "-v", "-1") == Outcome(
        1, "", "'-1' is not a value of service.imap.port: must be from 1 to 65535\n"
    )


def test_an_empty_value_clears_a_string(configutil: Run) -> None:
    configutil("-o", "encryption.rsa.nssslpersonalityssl", "-v", "rsa,ecdsa")
    assert configutil("-o", "encryption.rsa.nssslpersonalityssl", "-v", "") == Outcome(
        0, "", f'encryption.rsa.nssslpersonalityssl = "": {LIVE}\n'
    )
    assert configutil("-o", "encryption.rsa.nssslpersonalityssl").out == "\n"


def test_a_tls_policy_that_contradicts_itself_is_told_and_set_all_the_same(
    configutil: Run,
) -> None:
    done = configutil("-o", "local.pop.tlsminversion", "-v", "TLSv1.0")
    assert done.code == 0
    assert "warning: " in done.err
    assert "local.pop.tlsminversion = TLSv1.0: the TLS profile intermediate does not go" in done.err
    done = configutil("-o", "local.pop.tlsprofile", "-v", "legacy")
    assert "RFC 8996 forbids" in done.err
    done = configutil("-d", "-o", "local.pop.tlsminversion")
    assert "RFC 8996" not in done.err


def test_deleting_brings_the_default_back(configutil: Run) -> None:
    configutil("-o", "service.imap.port", "-v", "2143")
    assert configutil("-d", "-o", "service.imap.port") == Outcome(
        0, "", f"service.imap.port = 143, the default: {RESTART}\n"
    )
    assert configutil("-o", "service.imap.port").out == "143\n"


def test_an_unknown_name_is_refused_with_the_nearest(configutil: Run) -> None:
    refusal = "there is no option 'service.imap.prot': did you mean service.imap.port?\n"
    assert configutil("-o", "service.imap.prot") == Outcome(1, "", refusal)
    assert configutil("-o", "service.imap.prot", "-v", "1") == Outcome(1, "", refusal)
    assert configutil("-d", "-o", "service.imap.prot") == Outcome(1, "", refusal)
    assert configutil("--describe", "service.imap.prot") == Outcome(1, "", refusal)


def test_a_bad_value_is_refused_and_nothing_is_written(configutil: Run, root: ServerRoot) -> None:
    before = root.msg_conf.read_bytes()
    assert configutil("-o", "service.imap.enable", "-v", "perhaps") == Outcome(
        1,
        "",
        "'perhaps' is not a value of service.imap.enable: "
        "expected yes or no (1, 0, on, off, true and false are taken too)\n",
    )
    assert root.msg_conf.read_bytes() == before


def test_a_bad_value_in_the_file_is_refused_when_it_is_read_and_can_be_mended(
    configutil: Run, root: ServerRoot
) -> None:
    root.msg_conf.write_text("service.imap.port = many\nservice.imap.prot = 1\n")
    assert configutil("-o", "service.pop.port") == Outcome(
        1,
        "",
        f"{root.msg_conf}:1: 'many' is not a value of service.imap.port: "
        "expected a whole number from 1 to 65535\n"
        f"{root.msg_conf}:2: there is no option 'service.imap.prot': "
        "did you mean service.imap.port?\n",
    )
    assert configutil("-o", "service.imap.port", "-v", "143").code == 0
    assert configutil("-d", "-o", "service.imap.prot") == Outcome(
        0, "", f"service.imap.prot, which is no option, is removed from {root.msg_conf}\n"
    )
    assert configutil("-o", "service.pop.port") == Outcome(0, "110\n", "")


def test_the_list_has_every_option_and_can_be_imported_again(configutil: Run) -> None:
    listed = configutil("-l")
    assert (listed.code, listed.err) == (0, "")
    assert [line.split(" = ")[0] for line in listed.out.splitlines()] == list(REGISTRY.names())
    assert configutil() == listed
    imported = configutil("-i", "-", given=listed.out)
    assert imported == Outcome(0, "", f"{len(REGISTRY)} options set: {RESTART}\n")
    assert configutil("-l") == listed


def test_the_list_can_be_narrowed_and_annotated(configutil: Run) -> None:
    assert configutil("-m", "-p", "local.imap.ssl") == Outcome(
        0,
        'local.imap.sslnicknames = "" [REFRESHABLE]\n',
        "",
    )
    assert configutil("-m", "-p", "service.imap.port").out == (
        "service.imap.port = 143 [NOT REFRESHABLE]\n"
    )
    helped = configutil("-l", "-H", "-p", "service.imap.port")
    assert helped.out.splitlines()[0] == "service.imap.port = 143"
    assert "    Default: 143" in helped.out.splitlines()


def test_a_prefix_of_nothing_fails(configutil: Run) -> None:
    assert configutil("-p", "xyzzy") == Outcome(
        1, "", "no option begins with 'xyzzy': `configutil -l` lists all options\n"
    )


def test_describe_tells_everything_about_one_option_without_a_server_root(configutil: Run) -> None:
    described = configutil("--describe", "service.imap.idletimeout", home="")
    assert (described.code, described.err) == (0, "")
    for text in ("RFC 9051", "integer, minutes, 30 to 10080", "Default: 30", RESTART, "0.1"):
        assert text in described.out


def test_describe_all_prints_the_page_of_the_documentation(configutil: Run) -> None:
    assert configutil("--describe-all", home="") == Outcome(0, options_page(), "")


def test_json_has_real_types(configutil: Run) -> None:
    configutil("-o", "local.imap.sslnicknames", "-v", "a,b")
    listed = {record["name"]: record for record in json.loads(configutil("--json", "-l").out)}
    assert listed["service.imap.port"] == {
        "name": "service.imap.port",
        "value": 143,
        "set": False,
        "default": 143,
        "effect": "restart",
    }
    assert listed["local.imap.sslnicknames"]["value"] == ["a", "b"]
    assert listed["local.imap.sslnicknames"]["set"] is True
    assert json.loads(configutil("--json", "-o", "service.imap.enable").out)["value"] is True
    described = json.loads(configutil("--json", "--describe", "service.imap.enable").out)
    assert described["help"].startswith("Whether IMAP is served.")
    changed = configutil("--json", "-o", "service.imap.enable", "-v", "off")
    assert json.loads(changed.out) == {"name": "service.imap.enable", "value": False, "set": True}


def test_an_import_sets_all_or_nothing(configutil: Run, root: ServerRoot, tmp_path: Path) -> None:
    options = tmp_path / "options.txt"
    options.write_text("service.imap.port=2143\nservice.pop.port=2110\n")
    assert configutil("-i", str(options)) == Outcome(0, "", f"2 options set: {RESTART}\n")
    before = root.msg_conf.read_bytes()
    options.write_text(
        "service.imap.port=3143\nservice.pop.port=x\nservice.imap.port=1\nservice.pop.prot=1\n"
    )
    assert configutil("-i", str(options)) == Outcome(
        1,
        "",
        f"{options}:2: 'x' is not a value of service.pop.port: "
        "expected a whole number from 1 to 65535\n"
        f"{options}:3: service.imap.port is set on line 1 and again on line 3: "
        "remove one of the two lines\n"
        f"{options}:4: there is no option 'service.pop.prot': did you mean service.pop.port?\n",
    )
    assert root.msg_conf.read_bytes() == before


def test_an_import_of_a_missing_file_is_told(configutil: Run, tmp_path: Path) -> None:
    missing = tmp_path / "options.txt"
    assert configutil("-i", str(missing)) == Outcome(
        1, "", f"{missing}: No such file or directory\n"
    )


def test_verify_checks_the_whole_file(configutil: Run, root: ServerRoot) -> None:
    configutil("-o", "service.imap.port", "-v", "2143")
    assert configutil("-V") == Outcome(
        0, "", f"{root.msg_conf}: 1 options set, all of them valid\n"
    )
    with root.msg_conf.open("a") as stream:
        stream.write("nonsense\n")
    assert configutil("-V").code == 1


def test_another_file_can_be_named(configutil: Run, tmp_path: Path) -> None:
    other = tmp_path / "other.conf"
    other.write_text("service.imap.port = 1143\n")
    assert configutil("-f", str(other), "-o", "service.imap.port", home="") == Outcome(
        0, "1143\n", ""
    )


def test_home_wins_over_the_variable(configutil: Run, root: ServerRoot) -> None:
    assert configutil(
        "--home", str(root.path), "-o", "service.imap.port", home="/nonexistent"
    ) == Outcome(0, "143\n", "")


def test_a_server_root_must_be_named_and_exist(configutil: Run) -> None:
    unnamed = configutil("-l", home="")
    assert (unnamed.code, unnamed.out) == (1, "")
    assert "give --home DIR" in unnamed.err
    missing = configutil("-l", home="/nonexistent")
    assert (missing.code, missing.out) == (1, "")
    assert "mailfront init --home /nonexistent" in missing.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nonsense",),
        ("-v", "1"),
        ("-d",),
        ("-d", "-o", "service.imap.port", "-v", "1"),
        ("-o", "service.imap.port", "-l"),
        ("-o", "service.imap.port", "-i", "file"),
        ("-o",),
        ("surplus",),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_with_the_usage_and_code_2(
    configutil: Run, arguments: tuple[str, ...]
) -> None:
    refused = configutil(*arguments)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("usage: configutil")
    assert "configutil: error:" in refused.err


def test_help_teaches_with_examples(configutil: Run) -> None:
    helped = configutil("--help", home="")
    assert (helped.code, helped.err) == (0, "")
    assert "examples:" in helped.out
    assert "configutil -o service.imap.idletimeout -v 45" in helped.out
    assert "Exit codes: 0 ok, 1 refused or failed, 2 wrong usage." in helped.out


def test_the_module_runs_the_command_on_the_arguments_of_the_process(root: ServerRoot) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mailfront.cli.configutil", "-o", "service.imap.prot"],
        capture_output=True,
        text=True,
        env={**os.environ, "MAILFRONT_HOME": str(root.path), "PYTHONPATH": str(CHECKOUT)},
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "did you mean service.imap.port?" in done.stderr


def test_a_reader_that_stops_early_causes_no_complaint(root: ServerRoot) -> None:
    command = f"{sys.executable} -m mailfront.cli.configutil -l -H | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"for n in 1 2 3; do {command}; done"],
        capture_output=True,
        text=True,
        env={**os.environ, "MAILFRONT_HOME": str(root.path), "PYTHONPATH": str(CHECKOUT)},
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_control_characters_never_reach_the_terminal(configutil: Run) -> None:
    refused = configutil("-o", "service.\x1b[2J")
    assert refused.code == 1
    assert "\x1b" not in refused.err
    assert configutil("-o", "local.imap.sslnicknames", "-v", "\x1b[2J").code == 1
