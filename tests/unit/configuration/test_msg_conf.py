"""Reading and changing msg.conf."""

import multiprocessing
import stat
from pathlib import Path

import pytest

from mailfront.configuration.msg_conf import (
    MOST_PROBLEMS,
    Configuration,
    change_options,
    delete_option,
    load_configuration,
    set_option,
)
from mailfront.configuration.registry import REGISTRY
from mailfront.errors import ConfigurationError, ConfigurationProblems

WRITERS = 6
CHANGES_EACH = 15


@pytest.fixture
def msg_conf(tmp_path: Path) -> Path:
    path = tmp_path / "msg.conf"
    path.write_text("")
    return path


def problems_of(path: Path) -> list[str]:
    with pytest.raises(ConfigurationProblems) as caught:
        load_configuration(path)
    return [str(problem) for problem in caught.value.problems]


def test_an_empty_file_gives_every_default(msg_conf: Path) -> None:
    configuration = load_configuration(msg_conf)
    for option in REGISTRY:
        assert configuration.value(option.name) == option.default_value
        assert configuration.text(option.name) == option.default
        assert not configuration.is_set(option.name)
        assert configuration.line_of(option.name) is None


def test_a_set_option_has_its_value_and_its_line(msg_conf: Path) -> None:
    msg_conf.write_text("# ports\n\nservice.imap.port = 2143\n")
    configuration = load_configuration(msg_conf)
    assert configuration.integer("service.imap.port") == 2143
    assert configuration.is_set("service.imap.port")
    assert configuration.line_of("service.imap.port") == 3


def test_each_type_has_its_accessor() -> None:
    configuration = Configuration.of(
        {
            "service.imap.enable": "off",
            "service.smtp.sizelimit": "1M",
            "local.imap.sslnicknames": "rsa cert, ecdsa cert",
            "service.listenaddr": "127.0.0.1, ::1",
        }
    )
    assert configuration.boolean("service.imap.enable") is False
    assert configuration.integer("service.smtp.sizelimit") == 1048576
    assert configuration.names("local.imap.sslnicknames") == ("rsa cert", "ecdsa cert")
    assert configuration.names("service.listenaddr") == ("127.0.0.1", "::1")
    assert configuration.string("service.listenaddr") == "127.0.0.1,::1"


def test_a_wrong_name_or_accessor_is_a_programming_error() -> None:
    configuration = Configuration.of({})
    with pytest.raises(KeyError):
        configuration.string("service.imap.nothing")
    with pytest.raises(KeyError):
        configuration.is_set("service.imap.nothing")
    with pytest.raises(TypeError):
        configuration.integer("service.imap.enable")
    with pytest.raises(TypeError):
        configuration.boolean("service.imap.port")
    with pytest.raises(TypeError):
        configuration.string("service.imap.port")
    with pytest.raises(TypeError):
        configuration.names("service.imap.port")


def test_settings_without_a_file_are_validated_too() -> None:
    with pytest.raises(ConfigurationError, match=r"did you mean service\.imap\.port"):
        Configuration.of({"service.imap.prot": "143"})


def test_two_configurations_tell_what_differs() -> None:
    old = Configuration.of({"service.imap.port": "143"})
    new = Configuration.of({"service.imap.port": "2143", "service.pop.port": "110"})
    assert new.differences(old) == {"service.imap.port"}


def test_all_problems_are_told_at_once_with_file_line_and_remedy(msg_conf: Path) -> None:
    msg_conf.write_text(
        "service.imap.prot = 143\n"
        "service.pop.port = 70000\n"
        "what is this\n"
        "service.http.sslport = 443\n"
        "service.http.sslport = 444\n"
        "encryption.tlsprofile = moderm\n"
    )
    assert problems_of(msg_conf) == [
        f"{msg_conf}:1: there is no option 'service.imap.prot': did you mean service.imap.port?",
        f"{msg_conf}:2: '70000' is not a value of service.pop.port: must be from 1 to 65535",
        f"{msg_conf}:3: the line is neither a comment nor `name = value`: begin a comment with #, "
        "or write name, equals sign and value on one line",
        f"{msg_conf}:5: service.http.sslport is set on line 4 and again on line 5: remove one of "
        "the two lines",
        f"{msg_conf}:6: 'moderm' is not a value of encryption.tlsprofile: expected one of modern, "
        "intermediate, legacy, modern-2026-11, intermediate-2026-11, legacy-2026-11; did you mean "
        "modern?",
    ]


def test_the_list_of_problems_is_bounded(msg_conf: Path) -> None:
    msg_conf.write_text("no.such.option = 1\nwrong\n" * 5000)
    assert len(problems_of(msg_conf)) == MOST_PROBLEMS


def test_a_file_that_is_missing_or_unreadable_is_a_problem_like_others(tmp_path: Path) -> None:
    assert "mailfront init" in problems_of(tmp_path / "msg.conf")[0]
    assert "cannot be read" in problems_of(tmp_path)[0]


def test_a_secret_looking_long_value_is_shortened_in_the_message(msg_conf: Path) -> None:
    msg_conf.write_text(f"service.imap.port = {'9' * 3000}\n")
    assert len(problems_of(msg_conf)[0]) < 400


def test_setting_keeps_comments_and_order_and_writes_the_canonical_value(msg_conf: Path) -> None:
    msg_conf.write_text("# one\nservice.imap.enable = yes\n# two\nservice.pop.port = 110\n# three")
    set_option(msg_conf, "service.imap.enable", "OFF")
    assert msg_conf.read_text() == (
        "# one\nservice.imap.enable = no\n# two\nservice.pop.port = 110\n# three\n"
    )


def test_the_file_becomes_private(msg_conf: Path) -> None:
    msg_conf.chmod(0o644)
    set_option(msg_conf, "service.imap.port", "2143")
    assert stat.S_IMODE(msg_conf.stat().st_mode) == 0o600


def test_a_value_of_any_printable_text_survives(msg_conf: Path) -> None:
    set_option(msg_conf, "local.imap.sslnicknames", ' a "b" \\ # c ,d')
    assert load_configuration(msg_conf).names("local.imap.sslnicknames") == ('a "b" \\ # c', "d")


def test_a_bad_value_or_name_leaves_the_file_alone(msg_conf: Path) -> None:
    msg_conf.write_text("# precious\n")
    with pytest.raises(ConfigurationError, match="must be from 1 to 65535"):
        set_option(msg_conf, "service.imap.port", "0")
    with pytest.raises(ConfigurationError, match="there is no option"):
        set_option(msg_conf, "service.imap.nothing", "0")
    with pytest.raises(ConfigurationError, match="there is no option"):
        delete_option(msg_conf, "service.imap.nothing")
    assert msg_conf.read_text() == "# precious\n"


def test_deleting_brings_the_default_back(msg_conf: Path) -> None:
    msg_conf.write_text("service.imap.port = 2143\n# kept\n")
    delete_option(msg_conf, "service.imap.port")
    assert msg_conf.read_text() == "# kept\n"
    delete_option(msg_conf, "service.imap.port")
    assert load_configuration(msg_conf).integer("service.imap.port") == 143


def test_wrong_lines_can_be_mended_by_setting_and_deleting(msg_conf: Path) -> None:
    msg_conf.write_text(
        "service.imap.port = many\nno.such.option = 1\n"
        "service.pop.port = 110\nservice.pop.port = 111\n"
    )
    set_option(msg_conf, "service.imap.port", "143")
    delete_option(msg_conf, "no.such.option")
    delete_option(msg_conf, "service.pop.port")
    assert msg_conf.read_text() == "service.imap.port = 143\n"


def test_setting_what_is_set_twice_is_refused_with_both_lines(msg_conf: Path) -> None:
    msg_conf.write_text("service.pop.port = 110\nservice.pop.port = 111\n")
    with pytest.raises(ConfigurationError, match="set on line 1 and again on line 2"):
        set_option(msg_conf, "service.pop.port", "112")


def test_several_changes_are_made_together_or_not_at_all(msg_conf: Path) -> None:
    change_options(msg_conf, {"service.imap.port": "2143", "service.pop.port": "2110"})
    with pytest.raises(ConfigurationProblems) as caught:
        change_options(
            msg_conf,
            {"service.imap.port": "3143", "service.pop.port": "x", "service.http.sslport": "y"},
        )
    assert len(caught.value.problems) == 2
    assert load_configuration(msg_conf).integer("service.imap.port") == 2143


def test_a_link_to_the_file_stays_a_link(tmp_path: Path, msg_conf: Path) -> None:
    link = tmp_path / "elsewhere" / "msg.conf"
    link.parent.mkdir()
    link.symlink_to(msg_conf)
    set_option(link, "service.imap.port", "2143")
    assert link.is_symlink()
    assert load_configuration(msg_conf).integer("service.imap.port") == 2143


def test_a_file_that_is_too_large_is_neither_read_nor_changed(msg_conf: Path) -> None:
    content = b"#" * (2**20 + 1)
    msg_conf.write_bytes(content)
    with pytest.raises(ConfigurationError, match="more than"):
        set_option(msg_conf, "service.imap.port", "2143")
    assert msg_conf.read_bytes() == content


def test_a_missing_file_is_not_made_by_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="mailfront init"):
        set_option(tmp_path / "msg.conf", "service.imap.port", "2143")
    with pytest.raises(ConfigurationError, match="mailfront init"):
        set_option(tmp_path / "nothing" / "msg.conf", "service.imap.port", "2143")
    assert list(tmp_path.iterdir()) == []


def change_own_options(path: Path, writer: int) -> None:
    names = [name for name in REGISTRY.names() if name.endswith("port") and "enable" not in name]
    for turn in range(CHANGES_EACH):
        set_option(path, names[writer], str(10_000 + turn))


def test_no_change_is_lost_when_several_processes_write(msg_conf: Path) -> None:
    msg_conf.write_text("# kept\n")
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=change_own_options, args=(msg_conf, writer))
        for writer in range(WRITERS)
    ]
    for process in writers:
        process.start()
    for process in writers:
        process.join(60)
    assert [process.exitcode for process in writers] == [0] * WRITERS
    lines = msg_conf.read_text().splitlines()
    assert lines[0] == "# kept"
    assert len(lines) == WRITERS + 1
    assert all(line.endswith(f"= {10_000 + CHANGES_EACH - 1}") for line in lines[1:])
    assert [path.name for path in msg_conf.parent.iterdir()] == ["msg.conf"]
