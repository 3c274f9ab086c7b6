from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.channels.channel import Channel, Demand, Exchangers
from mailfront.channels.imta_cnf import MAXIMUM_PROBLEMS, load_channels
from mailfront.channels.table import ChannelTable
from mailfront.configuration.default_files import install_default_configuration
from mailfront.configuration.home import ServerRoot
from mailfront.errors import ConfigurationError, ConfigurationProblems

OF_OLD = """\
! NOT READ YET: this version of mailfront delivers mail to its own users only
.  $E$U%$H@tcp-daemon

l logging
localhost

tcp_local smtp mx maytls maysaslserver saslswitchchannel tcp_auth
tcp-daemon

tcp_auth smtp mx maytls mustsaslserver noswitchchannel
tcp_auth-daemon

tcp_submit submit smtp mx maytls mustsaslserver
tcp_submit-daemon
"""

ORIGINAL = """\
$*      $A$E$F$U%$H$V$H@host.example.com
.example.com  $U%$H$D@tcp_intranet-daemon
.       $E$U%$H@tcp-daemon
[]      $E$R$U%[$L]@tcp_intranet-daemon

! part II
defaults notices 1 2 4 7 noswitchchannel immnonurgent maxjobs 7 defaulthost example.com example.com

l defaults logging
host.example.com

ims-ms subdirs 20 notices 1 7 14 21 28 backoff "pt5m" "pt10m" pool IMS_POOL maxjobs 2
ims-ms-daemon

tcp_local smtp mx single_sys remotehost inner switchchannel identnonenumeric subdirs 20 \\
 maxjobs 9 pool SMTP_POOL maytlsserver maysaslserver saslswitchchannel tcp_auth \\
 missingrecipientpolicy 0
tcp-daemon

tcp_intranet smtp mx single_sys subdirs 20 dequeue_removeroute maytlsserver allowswitchchannel \\
 saslswitchchannel tcp_auth
tcp_intranet-daemon

tcp_submit submit smtp mx single_sys mustsaslserver maytlsserver missingrecipientpolicy 4
tcp_submit-daemon

tcp_auth smtp mx single_sys mustsaslserver noswitchchannel
tcp_auth-daemon
"""


def root_with(directory: Path, text: str | None) -> ServerRoot:
    root = ServerRoot(directory)
    root.config_directory.mkdir(exist_ok=True)
    if text is not None:
        root.imta_cnf.write_text(text)
        root.imta_cnf.chmod(0o600)
    return root


def load(directory: Path, text: str | None) -> ChannelTable:
    return load_channels(root_with(directory, text))


def refusal(directory: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(directory, text)
    return str(caught.value)


def channel(directory: Path, keywords: str, name: str = "tcp_x") -> Channel:
    block = f"{name} {keywords}\n{name}-host\n"
    first = "" if name == "l" else "l\nlocalhost\n\n"
    return load(directory, f". $U%$H@{name}-host\n\n{first}{block}").channels[name]


def test_the_default_file_is_right(tmp_path: Path) -> None:
    root = ServerRoot(tmp_path)
    install_default_configuration(root)
    channels = load_channels(root)
    assert not channels.warnings
    assert not channels.missing
    assert not channels.without_effect
    submit = channels.channels["tcp_submit"]
    assert submit.tls_server is submit.sasl_server is Demand.MUST
    local = channels.channels["tcp_local"]
    assert (local.tls_client, local.tls_server, local.sasl_server) == (
        Demand.MAY, Demand.MAY, Demand.NEVER,
    )  # fmt: skip
    assert channels.route("example.net").channel is local
    assert channels.channel_of_client(local, "127.0.0.1") is local
    assert channels.channels["tcp_auth"].sasl_server is Demand.MUST
    assert channels.channels["ims-ms"].local


@pytest.mark.parametrize("text", [None, "", "! only a comment\n", "\n\n"])
def test_without_a_file_or_anything_in_it_the_standard_holds(
    tmp_path: Path, text: str | None
) -> None:
    channels = load(tmp_path, text)
    assert channels.route("example.net").channel.name == "tcp_local"
    assert channels.route("[192.0.2.1]").channel.name == "tcp_local"
    submit = channels.channel_of_port("submission")
    assert submit.tls_server is submit.sasl_server is Demand.MUST
    assert bool(channels.warnings) is (text is not None)


def test_the_default_of_old_loads_and_says_that_it_counts_now(tmp_path: Path) -> None:
    channels = load(tmp_path, OF_OLD)
    assert channels.channels["tcp_submit"].sasl_server is Demand.MUST
    assert channels.channels["tcp_local"].sasl_switch == "tcp_auth"
    assert channels.without_effect == ("logging",)
    assert "of a version that did not read it" in channels.warnings[0]


def test_a_file_as_the_original_writes_it_is_read(tmp_path: Path) -> None:
    channels = load(tmp_path, ORIGINAL)
    local = channels.channels["tcp_local"]
    assert (local.max_jobs, local.switches, local.sasl_server) == (9, True, Demand.MAY)
    assert [age / 86400 for age in local.notices] == [1, 2, 4, 7]
    assert channels.channels["ims-ms"].backoff == (300.0, 600.0)
    assert not channels.channels["tcp_auth"].switched_to
    assert channels.channels["tcp_intranet"].switched_to
    assert channels.route("mail.example.com").channel.name == "tcp_intranet"
    assert "identnonenumeric" in channels.without_effect


def test_what_is_not_said_is_the_safe_choice(tmp_path: Path) -> None:
    found = channel(tmp_path, "smtp")
    assert found.tls_client is found.tls_server is Demand.MAY
    assert found.sasl_client is found.sasl_server is Demand.NEVER
    assert (found.port, found.exchangers, found.daemon) == (25, Exchangers.MX, "")
    assert found.source_block_limit is None
    for name, keywords in (("tcp_submit", ""), ("tcp_users", "submit")):
        found = channel(tmp_path, keywords, name)
        assert found.submission
        assert found.tls_server is found.sasl_server is Demand.MUST


def test_what_an_operator_says_of_submission_holds(tmp_path: Path) -> None:
    found = channel(tmp_path, "submit maytlsserver maysaslserver", "tcp_submit")
    assert found.tls_server is found.sasl_server is Demand.MAY


def test_a_missing_channel_that_every_server_needs_is_the_standard_one(tmp_path: Path) -> None:
    channels = load(tmp_path, ". $U%$H@relay\n\nl\nlocalhost\n\ntcp_relay smtp\nrelay\n")
    assert channels.missing == ("tcp_local", "tcp_submit")
    assert channels.channel_of_port("submission").sasl_server is Demand.MUST


def test_defaults_hold_for_the_blocks_below_until_they_end(tmp_path: Path) -> None:
    channels = load(
        tmp_path,
        ". $U%$H@b\n\nl\nlocalhost\n\ndefaults maxjobs 7 musttls\n\ntcp_a\na\n\n"
        "tcp_b maytls\nb\n\nnodefaults\n\ntcp_c\nc\n",
    ).channels
    assert (channels["tcp_a"].max_jobs, channels["tcp_a"].tls_client) == (7, Demand.MUST)
    assert (channels["tcp_b"].max_jobs, channels["tcp_b"].tls_client) == (7, Demand.MAY)
    assert (channels["tcp_c"].max_jobs, channels["tcp_c"].tls_client) == (10, Demand.MAY)


def test_credentials_are_files_beside_imta_cnf(tmp_path: Path) -> None:
    found = channel(tmp_path, "smtp mustsaslclient saslcredentials relay.login")
    assert found.credentials == str(tmp_path / "config" / "relay.login")


def test_channels_without_smtp_send_nothing(tmp_path: Path) -> None:
    assert channel(tmp_path, "").sends
    assert not channel(tmp_path, "", "conversion").sends
    assert channel(tmp_path, "smtp", "relay").sends
    assert not channel(tmp_path, "smtp", "ims-ms").sends


RULE = ". $U%$H@tcp-daemon\n"
LOCAL = "l\nlocalhost\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a b c\n", "imta.cnf:1: a rewrite rule is a pattern and a template"),
        (
            f"{RULE}\n.example $U%$H$D@tcp-daemon\n\n{LOCAL}",
            "imta.cnf:3: this looks like a rewrite rule, but the first blank line has ended them",
        ),
        (f"{RULE}\ntcp_a smtp\na\n", "imta.cnf:3: the first channel is tcp_a"),
        (f"{RULE}\n{LOCAL}\nl\nother\n", "imta.cnf:6: a second channel l: the first one is in"),
        (f"{RULE}\n{LOCAL}\ntcp_a smtp\n", "imta.cnf:6: the channel tcp_a has no official host"),
        (f"{RULE}\n{LOCAL}\ntcp_a maytsl\na\n", "imta.cnf:6: unknown keyword maytsl: did you mean"),
        (f"{RULE}\n{LOCAL}\ntcp_a\na b\n", "imta.cnf:7: the official host of the channel tcp_a"),
        (f"{RULE}\n{LOCAL}\ntcp_a\nlocalhost\n", "imta.cnf:7: localhost is the official host of"),
        (f"{RULE}\n{LOCAL}\nsmtp mx\na\n", "imta.cnf:6: smtp is no name of a channel"),
        (f"{RULE}\n{LOCAL}\ndefaults mx\na\n", "imta.cnf:7: defaults stands alone"),
        (
            f"{RULE}\n{LOCAL}\ntcp_a saslswitchchannel tcp_aut\na\n",
            "imta.cnf:6: saslswitchchannel tcp_aut: there is no such channel",
        ),
        (
            f"{RULE}\n{LOCAL}\ntcp_a mustsaslclient\na\n",
            "imta.cnf:6: mustsaslclient has no login to use",
        ),
        (
            f". $U%$H@tcp-deamon\n\n{LOCAL}",
            "imta.cnf:1: no channel has the official host tcp-deamon: did you mean tcp-daemon?",
        ),
        (f"{RULE}{RULE}\n{LOCAL}", "imta.cnf:2: a second rule for ."),
        (
            f"{RULE}\n{LOCAL}\ntcp_a\ntcp-daemon\n",
            "there is no channel tcp_local, but tcp_a has its official host",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    assert told in refusal(tmp_path, text)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = f". $U%$Q@x\nb\n\n{LOCAL}\ntcp_a maytsl\na\n"
    with pytest.raises(ConfigurationProblems) as caught:
        load(tmp_path, text)
    assert [problem.line for problem in caught.value.problems] == [1, 2, 7]


def test_mistakes_beyond_a_number_are_left_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationProblems) as caught:
        load(tmp_path, "wrong\n" * 200)
    assert len(caught.value.problems) == MAXIMUM_PROBLEMS


def test_rules_for_senders_and_for_recipients_may_have_one_pattern(tmp_path: Path) -> None:
    channels = load(
        tmp_path,
        f"{RULE}[10.] $F$U%$D@tcp-daemon\n[10.] $R$U%$D@localhost\n\n{LOCAL}",
    )
    assert channels.route("[10.0.0.1]").channel.name == "tcp_local"


def test_host_names_below_the_official_one_are_told_to_have_no_effect(tmp_path: Path) -> None:
    channels = load(tmp_path, f"{RULE}\n{LOCAL}\ntcp_a\na\nlocal remote\n")
    assert "imta.cnf:8: host names below" in channels.warnings[0]


@given(
    st.lists(
        st.sampled_from(
            [".", "$U%$H@tcp-daemon", "l", "localhost", "\n", "\n\n", "tcp_a", "smtp", "maytls",
             "defaults", "nodefaults", "saslswitchchannel", "notices", "1", "daemon", "!", "\\\n",
             "<imta.cnf", '"', "tcp-daemon", "[10.]", "\x00", "é"]
        ),
        max_size=30,
    )
)  # fmt: skip
def test_any_file_is_a_table_or_an_error_of_the_operator(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    try:
        channels = load(tmp_path_factory.mktemp("any"), " ".join(words).replace(" \n ", "\n"))
    except ConfigurationError:
        return
    assert {"l", "tcp_local", "tcp_submit"} <= channels.channels.keys()
