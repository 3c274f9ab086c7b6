"""The HTTPS service in front of a webmail: what reaches it, what comes back, and what goes no
further. Clients are curl, aiohttp, and sockets for what no client would say."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import NewServer
from tests.support.dialogue import unverified_context
from tests.support.issuing import Issuer, certificate_pem_file, key_pem_file
from tests.support.login_site import LoginSite
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, MailServer, run_command
from tests.support.waiting import eventually
from tests.support.web_behind import PIECE, WebBehind

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def behind() -> Iterator[WebBehind]:
    with WebBehind() as running:
        yield running


@pytest.fixture(scope="module")
def front(
    behind: WebBehind, server_root_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MailServer]:
    path = tmp_path_factory.mktemp("proxy") / "root"
    options = {
        "service.http.upstream": f"http://{LOOPBACK}:{behind.port}",
        "service.http.bodylimit": "64",
        "store.admins": ALICE,
    }
    with MailServer.copied(server_root_template, path, options) as server:
        yield server


def address(server: MailServer, path: str) -> str:
    return f"https://{LOOPBACK}:{server.ports['https']}{path}"


def curl(server: MailServer, path: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run curl; the header of the answer comes before its body."""
    return subprocess.run(
        [
            require_program("curl"), "-ski", "--path-as-is", "--max-time", "60", *arguments,
            address(server, path),
        ],
        capture_output=True, check=False, timeout=90,
    )  # fmt: skip


def answer(server: MailServer, path: str, *arguments: str) -> tuple[str, bytes]:
    """The header and the body of an answer; interim answers are left out."""
    done = curl(server, path, *arguments)
    assert done.returncode == 0, done
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head, _, body = body.partition(b"\r\n\r\n")
    return head.decode(), body


def status(head: str) -> int:
    return int(head.split(" ", 2)[1])


def raw(server: MailServer, octets: bytes) -> bytes:
    """Everything the server says to `octets` until it closes or has answered whole requests."""
    with (
        socket.create_connection((LOOPBACK, server.ports["https"]), timeout=30) as plain,
        unverified_context().wrap_socket(plain) as client,
    ):
        client.sendall(octets)
        said = b""
        while chunk := client.recv(65536):
            said += chunk
            if b"</html>" in said or b"behind GET" in said:
                break
        return said


def test_path_and_query_arrive_as_they_were_sent(front: MailServer, behind: WebBehind) -> None:
    target = "/a%2Fb//c;d=1/%C3%BC?x=%2f&y=a+b&&z"
    head, body = answer(front, target)
    assert status(head) == 200
    assert body.decode() == f"behind GET {target}"
    assert behind.targets[-1] == target


def test_the_webmail_is_told_who_asks_and_nobody_else_can_tell_it(
    front: MailServer, behind: WebBehind
) -> None:
    spoofs = (
        "X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: evil.test",
        "X-Forwarded-Prefix: /evil", "Forwarded: for=198.51.100.1", "X-Real-IP: 198.51.100.1",
        "X-Client-User: admin", "x-client-user: admin", "X_Client_User: admin",
        "X-Client_User: admin", "X.Client.User: admin", "X-CLIENT-DN: cn=admin", "Proxy: evil",
        "Remote-User: admin", "Client-Cert: :AAAA:", "X-Client-Fingerprint: 00",
    )  # fmt: skip
    head, _ = answer(front, "/", *[part for spoof in spoofs for part in ("-H", spoof)])
    assert status(head) == 200
    host = f"{LOOPBACK}:{front.ports['https']}"
    assert behind.header("Host") == [host]
    assert behind.header("X-Forwarded-For") == [LOOPBACK]
    assert behind.header("X-Forwarded-Proto") == ["https"]
    assert behind.header("X-Forwarded-Host") == [host]
    assert behind.header("X-Forwarded-Port") == [str(front.ports["https"])]
    assert behind.header("Forwarded") == [f'for={LOOPBACK};host="{host}";proto=https']
    told = json.dumps(behind.requests[-1])
    assert "admin" not in told
    assert "evil" not in told
    assert "198.51.100.1" not in told


def test_hop_by_hop_fields_end_at_each_hop(front: MailServer, behind: WebBehind) -> None:
    fields = ("Connection: X-Mine, close", "X-Mine: 1", "TE: trailers", "Keep-Alive: 3")
    head, _ = answer(front, "/fixed", *[part for field in fields for part in ("-H", field)])
    names = {name.lower() for name, _ in behind.requests[-1]}
    assert not names & {"x-mine", "te", "keep-alive", "connection"}
    assert "x-hop" not in head.lower()
    assert "keep-alive" not in head.lower()


def test_cookies_pass_except_those_of_our_own_pages(front: MailServer, behind: WebBehind) -> None:
    head, _ = answer(front, "/any", "-b", "a=1; __Host-session=mine; b=2")
    assert behind.header("Cookie") == ["a=1; b=2"]
    assert re.findall(r"(?im)^set-cookie: (.*?)\r?$", head) == [
        "a=1; Path=/; HttpOnly",
        "b=2; Path=/",
    ]


def test_head_ranges_and_answers_without_a_body_keep_their_meaning(front: MailServer) -> None:
    head, body = answer(front, "/fixed", "-I")
    assert "Content-Length: 65536" in head
    assert body == b""
    head, body = answer(front, "/fixed", "-r", "3-9")
    assert (status(head), body) == (206, PIECE[3:10])
    head, body = answer(front, "/not-modified", "-H", 'If-None-Match: "1"')
    assert (status(head), body) == (304, b"")
    assert 'Etag: "1"' in head
    head, body = answer(front, "/empty")
    assert (status(head), body) == (204, b"")
    head, _ = answer(front, "/redirect")
    assert status(head) == 302
    assert "Location: /page?a=/" in head


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_large_answers_stream_without_growing_the_front(front: MailServer, framing: str) -> None:
    answer(front, "/fixed")
    before = resident(front)
    done = subprocess.run(
        [require_program("curl"), "-sk", "--max-time", "120", "-o", "/dev/null", "-w",
         "%{size_download}", address(front, f"/stream?pieces=4096&{framing}")],
        capture_output=True, check=True, timeout=150,
    )  # fmt: skip
    assert int(done.stdout) == 4096 * len(PIECE)
    assert resident(front) - before < 24 * MIB


@pytest.mark.parametrize("framing", [(), ("-H", "Transfer-Encoding: chunked")])
def test_uploads_arrive_whole_whatever_their_framing(
    front: MailServer, tmp_path: Path, framing: tuple[str, ...]
) -> None:
    content = tmp_path / "upload"
    content.write_bytes(PIECE * 512)
    before = resident(front)
    head, body = answer(front, "/upload", "-T", str(content), *framing)
    assert status(head) == 200
    expected = {"octets": 512 * len(PIECE), "sha256": hashlib.sha256(PIECE * 512).hexdigest()}
    assert json.loads(body) == expected
    assert resident(front) - before < 24 * MIB


def test_a_body_is_asked_for_only_once_a_server_is_there_to_take_it(
    front: MailServer, tmp_path: Path
) -> None:
    content = tmp_path / "upload"
    content.write_bytes(PIECE)
    done = curl(front, "/upload", "-T", str(content), "-H", "Expect: 100-continue")
    assert done.stdout.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")
    done = curl(front, "/%2e%2e/upload", "-T", str(content), "-H", "Expect: 100-continue")
    assert done.stdout.startswith(b"HTTP/1.1 400")


def test_too_large_a_body_is_refused_announced_or_not(front: MailServer, tmp_path: Path) -> None:
    content = tmp_path / "upload"
    with content.open("wb") as file:
        file.truncate(65 * MIB)
    head, _ = answer(front, "/upload", "-T", str(content), "-H", "Expect: 100-continue")
    assert status(head) == 413
    done = curl(front, "/upload", "-T", str(content), "-H", "Transfer-Encoding: chunked")
    # The refusal may come while curl still sends, which then finds the connection closed.
    assert b"413" in done.stdout or done.returncode in (55, 56)


def test_half_a_body_is_not_a_whole_one(front: MailServer, behind: WebBehind) -> None:
    whole, cut, begun = len(behind.uploaded), len(behind.cut), behind.targets.count("/upload")

    def is_begun(count: int) -> bool:
        return behind.targets.count("/upload") == count

    for framing, body in (
        (b"Content-Length: 1000", b"x" * 500),
        (b"Transfer-Encoding: chunked", b"1f4\r\n" + b"x" * 500 + b"\r\n"),
    ):
        with (
            socket.create_connection((LOOPBACK, front.ports["https"]), timeout=30) as plain,
            unverified_context().wrap_socket(plain) as client,
        ):
            begun += 1
            client.sendall(b"POST /upload HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n" + body)
            eventually(partial(is_begun, begun), "the upload begins")
    eventually(lambda: len(behind.cut) == cut + 2, "the webmail learns that the body was cut")
    assert len(behind.uploaded) == whole


def test_an_answer_that_breaks_off_breaks_off_for_the_client(front: MailServer) -> None:
    done = curl(front, "/broken")
    assert done.returncode in (18, 56)


def test_an_answer_that_comes_before_the_body_was_read_passes(
    front: MailServer, tmp_path: Path
) -> None:
    content = tmp_path / "upload"
    content.write_bytes(PIECE * 64)
    head, body = answer(front, "/early", "-X", "POST", "-T", str(content))
    assert (status(head), body) == (403, b"not wanted")


def test_events_arrive_one_by_one(front: MailServer, behind: WebBehind) -> None:
    with (
        socket.create_connection((LOOPBACK, front.ports["https"]), timeout=30) as plain,
        unverified_context().wrap_socket(plain) as client,
    ):
        client.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
        said = b""
        while b"data: first\n\n" not in said:
            said += client.recv(65536)
        assert b"second" not in said
        behind.go_on()
        while b"data: second\n\n" not in said:
            said += client.recv(65536)


@pytest.mark.parametrize(
    "request_octets",
    [
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
        b"\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n"
        b"\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nX: 1\r\n Transfer-Encoding: chunked\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"GET /x HTTP/1.1\r\n\r\n",
        b"GET http://other/x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /x\x00y HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40000 + b"\r\n\r\n",
        b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n",
        b"TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_two_servers_could_read_differently_reaches_nobody(
    front: MailServer, behind: WebBehind, request_octets: bytes
) -> None:
    before = len(behind.requests)
    said = raw(front, request_octets)
    assert not said or re.match(rb"HTTP/1\.[01] 4\d\d ", said), said[:200]
    assert len(behind.requests) == before


def test_a_request_behind_another_in_one_packet_is_one_of_its_own(
    front: MailServer, behind: WebBehind
) -> None:
    before = len(behind.requests)
    inner = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    octets = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(inner)
    said = raw(front, octets + inner + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"behind GET /next" in said
    assert behind.targets[before:] == ["/upload", "/next"]


@pytest.mark.parametrize("path", ["/a/../b", "/a/%2e%2e/b", "/a/..;x/b", "/a/..%5cb", "/a%00b"])
def test_paths_that_climb_are_refused(front: MailServer, path: str) -> None:
    assert status(answer(front, path)[0]) == 400


def test_our_own_pages_stay_ours(front: MailServer, behind: WebBehind) -> None:
    before = len(behind.requests)
    assert answer(front, "/healthz")[1] == b"ok\n"
    assert b"clientConfig" in answer(front, "/.well-known/autoconfig/mail/config-v1.1.xml")[1]
    head, _ = answer(front, "/status")
    assert "Location: /sign-in" in head
    assert b"<form" in answer(front, "/sign-in")[1]
    assert len(behind.requests) == before
    assert answer(front, "/static/of-the-webmail.css")[1].startswith(b"behind GET")


def test_web_sockets_pass_messages_pings_and_the_choice_of_a_subprotocol(
    front: MailServer, behind: WebBehind
) -> None:
    async def talk() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                address(front, "/socket"),
                ssl=unverified_context(),
                protocols=("chat", "mail"),
                autoping=False,
                compress=15,
                headers={"Origin": "https://page.test"},
                max_msg_size=32 * MIB,
            ) as client,
        ):
            assert client.protocol == "mail"
            await client.send_str("grüße")
            assert (await client.receive_str(timeout=30)) == "heard grüße"
            await client.send_bytes(PIECE * 100)
            assert (await client.receive_bytes(timeout=30)) == PIECE * 100
            await client.ping(b"are you there")
            pong = await client.receive(timeout=30)
            assert (pong.type, pong.data) == (aiohttp.WSMsgType.PONG, b"are you there")

    asyncio.run(talk())
    assert behind.header("Origin") == ["https://page.test"]
    assert behind.header("X-Forwarded-For") == [LOOPBACK]


@pytest.mark.parametrize(
    ("said", "code"), [("close 4321 enough", 4321), ("close 1011 broken", 1011), ("vanish", 1014)]
)
def test_the_code_with_which_a_web_socket_is_closed_reaches_the_client(
    front: MailServer, said: str, code: int
) -> None:
    async def talk() -> aiohttp.WSMessage:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                address(front, "/socket"), ssl=unverified_context(), autoclose=False
            ) as client,
        ):
            await client.send_str(said)
            return await client.receive(timeout=30)

    message = asyncio.run(talk())
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, code)


def test_the_code_with_which_the_client_closes_reaches_the_webmail(
    front: MailServer, behind: WebBehind
) -> None:
    async def talk() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(address(front, "/socket"), ssl=unverified_context()) as client,
        ):
            await client.close(code=4100, message=b"bye")

    asyncio.run(talk())
    eventually(lambda: (4100, "bye") in behind.closed, "the webmail is told")


def test_a_refused_web_socket_is_refused_with_the_webmails_own_status(front: MailServer) -> None:
    handshake = (
        "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
    )  # fmt: skip
    fields = [part for field in handshake for part in ("-H", field)]
    head, _ = answer(front, "/no-socket", *fields)
    assert status(head) == 401
    assert "WWW-Authenticate: Basic" in head
    old = [field.replace("Version: 13", "Version: 8") for field in fields]
    assert status(answer(front, "/socket", *old)[0]) == 426


def test_only_allowed_paths_and_hosts_pass(
    new_server: NewServer, behind: WebBehind, tmp_path: Path
) -> None:
    server = new_server(
        {
            "service.http.upstream": f"http://{LOOPBACK}:{behind.port}",
            "service.http.upstreampaths": "/webmail, /dav",
            "service.http.hostnames": "mail.example.test",
            "service.http.forwardedfrom": "127.0.0.0/8",
        }
    )
    named = ("-H", "Host: Mail.example.test:8443")
    with server:
        assert status(answer(server, "/webmail/x", *named)[0]) == 200
        assert status(answer(server, "/dav", *named)[0]) == 200
        for path in ("/", "/webmailer", "/webmail%2f..%2fadmin", "/admin"):
            assert status(answer(server, path, *named)[0]) in (400, 404)
        assert status(answer(server, "/webmail/x", "-H", "Host: other.test")[0]) == 421
        balancer = ("-H", "X-Forwarded-For: 192.0.2.9", "-H", "X-Forwarded-Proto: http")
        answer(server, "/dav", *named, *balancer, "-H", "X-Client-User: admin")
        assert behind.header("X-Forwarded-For") == [f"192.0.2.9, {LOOPBACK}"]
        assert behind.header("X-Forwarded-Proto") == ["http"]
        assert behind.header("X-Client-User") == []


def test_a_certificate_names_its_user_and_only_a_certificate_does(
    server_root_template: Path, behind: WebBehind, tmp_path: Path
) -> None:
    options = {"service.http.upstream": f"http://{LOOPBACK}:{behind.port}"}
    site = LoginSite(MailServer.copied(server_root_template, tmp_path / "root", options), tmp_path)
    with site.server:
        spoof = ("-H", "X-Client-User: admin@example.test")
        for case in ("valid", "unmapped", "expired", "none"):
            presented = () if case == "none" else ("--cert", str(site.certificate_file(case)))
            assert status(answer(site.server, "/", *spoof, *presented)[0]) == 200
            assert behind.header("X-Client-User") == ([ALICE] if case == "valid" else [])
            accepted = case in ("valid", "unmapped")
            assert len(behind.header("X-Client-Fingerprint")) == accepted
            assert len(behind.header("X-Client-DN")) == accepted


def test_an_https_webmail_must_have_a_certificate_that_we_trust(
    new_server: NewServer, tmp_path: Path
) -> None:
    issuer = Issuer()
    issued = issuer.issue("webmail.example.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        certificate_pem_file(tmp_path / "web.pem", issued.chain),
        key_pem_file(tmp_path / "web.key", issued.key),
    )
    with WebBehind(context) as behind:
        url = f"https://{LOOPBACK}:{behind.port}?name=webmail.example.test"
        server = new_server({"service.http.upstream": url})
        server.choose_ports()
        checked = server.mailfront("check")
        assert "service.http.upstream" in checked.stderr
        with server:
            assert status(answer(server, "/")[0]) == 503
            root = certificate_pem_file(tmp_path / "root.pem", [issuer.root])

            run_command(
                "msgcert", "--home", str(server.root.path), "add-cert", "-C", "Web", str(root)
            )
            eventually(lambda: status(answer(server, "/")[0]) == 200, "the webmail is believed now")


def test_another_server_takes_over_and_none_is_told_in_our_words(
    new_server: NewServer, tmp_path: Path
) -> None:
    with WebBehind(name="one") as one, WebBehind(name="two") as two:
        urls = ",".join(f"http://{LOOPBACK}:{each.port}" for each in (one, two))
        server = new_server({"service.http.upstream": urls, "service.http.upstreamtimeout": "1"})
        with server:
            names = {answer(server, "/x")[1].split()[0] for _ in range(5)}
            assert len(names) == 1
            first, second = (one, two) if names == {b"one"} else (two, one)
            assert status(answer(server, "/silent")[0]) == 504
            first.stop()
            assert answer(server, "/x")[1].startswith(second.name.encode())
            second.stop()
            head, body = answer(server, "/x")
            assert status(head) == 503
            assert b"does not answer" in body
            assert f"{LOOPBACK}:{first.port}" in server.mailfront("status").stderr


def test_a_server_that_speaks_no_http_is_a_bad_gateway(new_server: NewServer) -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        server = new_server({"service.http.upstream": f"http://{LOOPBACK}:{port}"})
        with server:
            client = subprocess.Popen(
                [require_program("curl"), "-ski", "--max-time", "60", address(server, "/")],
                stdout=subprocess.PIPE,
            )
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"220 smtp.example.test\r\n")
                said, _ = client.communicate(timeout=60)
    assert said.startswith(b"HTTP/1.1 502")
    assert b"no proper answer" in said


def test_with_several_workers_each_serves_the_webmail(
    new_server: NewServer, behind: WebBehind
) -> None:
    options = {
        "service.http.upstream": f"http://{LOOPBACK}:{behind.port}", "service.workers": "2",
    }  # fmt: skip
    with new_server(options) as server:
        assert all(status(answer(server, "/x")[0]) == 200 for _ in range(6))
        assert answer(server, "/status")[1].startswith(b"behind GET")


@pytest.mark.parametrize(
    "upstream",
    [
        "http://webmail.example.test", "https://webmail.example.test?proxy=v2",
        "http://webmail.example.test?tls=starttls", "imap://localhost", "https://u:p@web.test",
    ],
)  # fmt: skip
def test_an_upstream_that_makes_no_sense_is_refused(new_server: NewServer, upstream: str) -> None:
    home = str(new_server().root.path)
    refused = run_command(
        "configutil", "--home", home, "-o", "service.http.upstream", "-v", upstream
    )
    assert refused.returncode == 1
    assert "service.http.upstream" in refused.stderr


def resident(server: MailServer) -> int:
    """Octets of memory that the server has."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
