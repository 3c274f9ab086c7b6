from pathlib import Path

import pytest

from mailfront.channels.advice import advice
from mailfront.channels.imta_cnf import load_channels
from mailfront.configuration.default_files import install_default_configuration
from mailfront.configuration.home import ServerRoot


def told(directory: Path, block: str) -> str:
    root = ServerRoot(directory)
    root.config_directory.mkdir()
    root.imta_cnf.write_text(f". $U%$H@tcp-daemon\n\nl\nlocalhost\n\n{block}\n")
    root.imta_cnf.chmod(0o600)
    return "\n".join(advice(load_channels(root), root.imta_cnf))


def test_the_default_file_needs_none(tmp_path: Path) -> None:
    root = ServerRoot(tmp_path)
    install_default_configuration(root)
    assert advice(load_channels(root), root.imta_cnf) == []


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("tcp_submit maysaslserver\nh", "imta.cnf:6: tcp_submit takes mail from users without"),
        ("tcp_submit maytlsserver\nh", "takes mail from users in clear too"),
        ("tcp_local smtp musttls\ntcp-daemon", "servers without TLS cannot bring mail"),
        ("tcp_local smtp mustsaslserver\ntcp-daemon", "other servers cannot bring mail"),
        ("tcp_local smtp maysaslserver\ntcp-daemon", "add saslswitchchannel tcp_auth"),
        ("tcp_local smtp maysaslserver notls\ntcp-daemon", "no password is taken without TLS"),
        (
            "tcp_r smtp notls maysaslclient saslcredentials f\nr",
            "its password goes out in clear, or not at all",
        ),
        ("tcp_r smtp single_sys\nr", "keywords without effect here: single_sys"),
        ("tcp_r smtp\nr", "has no channel tcp_local, tcp_submit; what is standard holds"),
    ],
)
def test_what_weakens_a_server_or_says_nothing_is_told(
    tmp_path: Path, block: str, words: str
) -> None:
    assert words in told(tmp_path, block)
