"""``serve-page``, asked by real requests over TLS: what it serves, and what it does not."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import sanderling as sd
from sanderling.cli import main
from sanderling.errors import MissingExtra, UsageError
from sanderling.serve import server as serving
from sanderling.serve.page import page_server, qr_rows
from sanderling.serve.server import PageServer

SOURCE = Path(sd.__file__).parents[1]
PAGE = b"<!doctype html><title>page</title>"
CLIENT = ssl.create_default_context()
CLIENT.check_hostname = False
CLIENT.verify_mode = ssl.CERT_NONE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle, with a secret beside it and links in it that lead there, and to something of its own."""
    home = tmp_path / "bundle"
    (home / "more").mkdir(parents=True)
    (home / "index.html").write_bytes(PAGE)
    (home / "more" / "ü b.json").write_text("{}")
    (home / ".hidden").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "bundle-2").mkdir()
    (tmp_path / "bundle-2" / "x.txt").write_text("secret")
    (home / "out.txt").symlink_to(tmp_path / "secret.txt")
    (home / "outside").symlink_to(tmp_path)
    (home / "inside.html").symlink_to(home / "index.html")
    os.mkfifo(home / "pipe")
    return home


@pytest.fixture
def server(folder: Path) -> Iterator[PageServer]:
    made, _ = page_server(folder)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


def ask(server: PageServer, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Asks for a path as it is written, which urllib would tidy up."""
    connection = http.client.HTTPSConnection(*server.server_address[:2], context=CLIENT, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", "x")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    finally:
        connection.close()


def raw(server: PageServer, sent: bytes) -> bytes:
    """Sends bytes. Returns: all that comes back."""
    found = b""
    with connected(server) as connection:
        connection.sendall(sent)
        while chunk := connection.recv(1 << 16):
            found += chunk
    return found


def connected(server: PageServer) -> ssl.SSLSocket:
    return CLIENT.wrap_socket(socket.create_connection(server.server_address[:2], timeout=20))


def test_the_page_comes_with_headers_that_keep_it_to_itself(server: PageServer) -> None:
    with urllib.request.urlopen(server.url, context=CLIENT, timeout=20) as answer:
        assert answer.read() == PAGE
        headers = answer.headers
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "Server" not in headers
    status, _, body = ask(server, f"/{server.token}/more/%C3%BC%20b.json?v=1")
    assert (status, body) == (200, b"{}")
    assert ask(server, f"/{server.token}/inside.html")[2] == PAGE


def test_head_has_the_size_and_no_body(server: PageServer) -> None:
    status, headers, body = ask(server, f"/{server.token}/", "HEAD")
    assert (status, headers["content-length"], body) == (200, str(len(PAGE)), b"")


@pytest.mark.parametrize("path", ["/", "/index.html", "/wrong/", "/wrong/index.html", "//", "/%00/", "*"])
def test_without_the_token_there_is_nothing(server: PageServer, path: str) -> None:
    status, headers, body = ask(server, path)
    assert status == 403
    assert body == b"403 Forbidden\n"
    assert server.token not in json.dumps(headers)


def test_the_token_must_be_whole(server: PageServer) -> None:
    for token in (
        server.token[:-1],
        server.token + "x",
        server.token.swapcase(),
        f"%{ord(server.token[0]):x}",
    ):
        assert ask(server, f"/{token}/")[0] == 403
    status, headers, _ = ask(server, f"/{server.token}")
    assert (status, headers["location"]) == (308, f"/{server.token}/")


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "more/../../secret.txt", "....//secret.txt",
        "%2e%2e%2fsecret.txt", "..%5csecret.txt", "..\\secret.txt", "%252e%252e/secret.txt", "./index.html",
        "/etc/passwd", "%2fetc%2fpasswd", "../bundle-2/x.txt", "more/%00index.html", "index.html%00", "C:/x",
        "%ff%fe", "out.txt", "outside/secret.txt", ".hidden", "pipe", "more", "more/", "/", "nothing.html",
        "a" * 5000, "index.html/", "index.html/x", "~/x", "%C0%AE%C0%AE/secret.txt",
    ],
)  # fmt: skip
def test_nothing_but_plain_files_of_the_folder(server: PageServer, path: str) -> None:
    status, _, body = ask(server, f"/{server.token}/{path}")
    assert (status, body) == (404, b"404 Not Found\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "GETX", "get"])
def test_other_methods_are_refused(server: PageServer, method: str) -> None:
    status, headers, _ = ask(server, f"/{server.token}/", method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "sent, status",
    [
        (b"GET /" + b"x" * 20_000, b"431"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 4000, b"431"),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 20_000, b"431"),
        (b"\x00\xff\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"505"),
        (b"GET / a b c\r\n\r\n", b"400"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused(server: PageServer, sent: bytes, status: bytes) -> None:
    """Without a word of it being repeated."""
    answer = raw(server, sent)
    if answer:  # a line that is none at all may not even have a version to be answered in
        assert status in answer.split(b"\r\n")[0] or answer.startswith(status)
        assert b"xxx" not in answer
    assert ask(server, f"/{server.token}/")[0] == 200


def drip(connection: ssl.SSLSocket) -> None:
    """Sends a byte now and then, for far longer than a request may take."""
    for _ in range(100):
        connection.sendall(b"G")
        time.sleep(0.1)


def test_who_dawdles_is_hung_up_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the handshake, the request or its headers do not come, or only a byte at a time."""
    monkeypatch.setattr(serving, "ASKING_SECONDS", 1.0)
    made, _ = page_server(folder)
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    begin = time.monotonic()
    silent = socket.create_connection(made.server_address[:2], timeout=20)
    slow = connected(made)
    try:
        assert ask(made, f"/{made.token}/")[0] == 200  # meanwhile others are answered
        with pytest.raises(OSError):  # noqa: PT011 - as the system puts it
            drip(slow)
        assert silent.recv(10) == b""
    finally:
        silent.close()
        slow.close()
        made.shutdown()
        made.server_close()
    assert time.monotonic() - begin < 8


def test_it_goes_on_when_connections_break_off(server: PageServer) -> None:
    for sent in (b"", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01\x00"):
        with socket.create_connection(server.server_address[:2], timeout=20) as plain:
            plain.sendall(sent)
    assert ask(server, f"/{server.token}/")[0] == 200


def test_too_many_at_once_are_hung_up_on(server: PageServer) -> None:
    count = serving.MOST_REQUESTS
    waiting = [socket.create_connection(server.server_address[:2], timeout=20) for _ in range(count)]
    try:
        deadline = time.monotonic() + 10
        while server._free._value and time.monotonic() < deadline:
            time.sleep(0.05)
        with pytest.raises(OSError):  # noqa: PT011 - as the system puts it
            ask(server, f"/{server.token}/")
    finally:
        for each in waiting:
            each.close()
    deadline = time.monotonic() + 10
    while server._free._value < serving.MOST_REQUESTS and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ask(server, f"/{server.token}/")[0] == 200


def test_the_certificate_is_for_the_address_and_its_fingerprint_is_told(folder: Path) -> None:
    import hashlib

    from cryptography import x509

    made, fingerprint = page_server(folder, lan=True, address="127.0.0.2")
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        with connected(made) as connection:
            der = connection.getpeercert(binary_form=True)
            assert connection.version() in ("TLSv1.2", "TLSv1.3")
    finally:
        made.shutdown()
        made.server_close()
    assert der is not None
    assert fingerprint.replace(":", "").lower() == hashlib.sha256(der).hexdigest()
    names = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(each) for each in names.value.get_values_for_type(x509.IPAddress)] == ["127.0.0.2"]


def test_a_client_that_trusts_the_certificate_needs_no_exception(server: PageServer) -> None:
    with connected(server) as connection:
        der = connection.getpeercert(binary_form=True)
    assert der is not None
    trusting = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(der))
    with urllib.request.urlopen(server.url, context=trusting, timeout=20) as answer:
        assert answer.read() == PAGE
    with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
        urllib.request.urlopen(server.url, timeout=20)


def test_it_listens_on_this_machine_only_unless_asked(folder: Path) -> None:
    made, _ = page_server(folder)
    made.server_close()
    assert made.server_address[0] == "127.0.0.1"
    with pytest.raises(UsageError, match="--address: is for the network; give --lan as well"):
        page_server(folder, address="127.0.0.2")
    for address in ("0.0.0.0", "::", "224.0.0.1"):
        with pytest.raises(UsageError, match="is no machine's address"):
            page_server(folder, lan=True, address=address)
    with pytest.raises(UsageError, match=r"203.0.113.7 is no address of this machine"):
        page_server(folder, lan=True, address="203.0.113.7")


def test_what_cannot_be_is_one_sentence(
    folder: Path, tmp_path: Path, server: PageServer, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pi").mkdir()
    (tmp_path / "pi" / "bundle.json").write_text('{"target": "raspberry-pi"}')
    (tmp_path / "empty").mkdir()
    deep = tmp_path / "deep"
    deep.mkdir()
    (deep / "bundle.json").write_text("[" * 100_000)
    port = str(server.server_address[1])
    for arguments, words in (
        ([str(tmp_path / "none")], "there is no such folder"),
        ([str(tmp_path / "secret.txt")], "there is no such folder"),
        ([str(tmp_path / "pi")], "is a bundle for 'raspberry-pi', which has no page"),
        ([str(tmp_path / "empty")], "holds no index.html"),
        ([str(deep)], "holds no index.html"),
        ([str(folder), "--port", port], f"port {port} is taken"),
        ([str(folder), "--lan", "--address", "here"], "got 'here', expected an address"),
    ):
        assert main(["serve-page", *arguments]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert words in line


def test_without_the_extra_it_says_which(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(MissingExtra, match=r"pip install 'sanderling\[serve\]'"):
        page_server(folder)
    monkeypatch.setitem(sys.modules, "segno", None)
    with pytest.raises(MissingExtra, match=r"pip install 'sanderling\[serve\]'"):
        qr_rows("x")


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sanderling", "serve-page", str(folder), "--port", "0", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def test_ctrl_c_is_how_it_ends(folder: Path) -> None:
    with started(folder, "--lan", "--address", "127.0.0.1") as running:
        assert running.stdout is not None
        lines = []
        while not lines or not lines[-1].startswith("Browsers"):
            lines.append(running.stdout.readline())
        url = next(line.split()[1] for line in lines if line.startswith("page"))
        with urllib.request.urlopen(url, context=CLIENT, timeout=20) as answer:
            assert answer.read() == PAGE
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(url + "%1b%5b31m.html", context=CLIENT, timeout=20)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=20)
    assert running.returncode == 0
    assert said.strip().splitlines()[-1] == "stopped"
    assert "127.0.0.1  200" in said
    assert re.search("[\x00-\x09\x0b-\x1f]", said) is None  # what was asked for cannot colour the terminal
    assert url.split("/")[3] not in said


def test_json_is_one_document(folder: Path) -> None:
    with started(folder, "--json") as running:
        assert running.stdout is not None
        text = ""
        while not text.endswith("\n}\n"):
            text += running.stdout.readline()
        told = json.loads(text)
        with urllib.request.urlopen(told["url"], context=CLIENT, timeout=20) as answer:
            assert answer.read() == PAGE
        running.send_signal(signal.SIGINT)
        rest, said = running.communicate(timeout=20)
    assert (running.returncode, rest, said) == (0, "", "")


def test_the_drawn_code_holds_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    """Read back from what is printed: its finder patterns, and the modules that segno itself draws."""
    import segno

    from sanderling.cli.show_page import show

    url = "https://192.168.1.5:8443/" + "x" * 22 + "/"
    show(url, "AB", qr_rows(url), lan=True)
    drawn = capsys.readouterr().out.splitlines()
    halves = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}
    art = [line for line in drawn if line and set(line) <= set(halves)]
    rows = [[halves[c][half] for c in line] for line in art for half in (0, 1)]
    wanted = [
        [int(bool(m)) for m in row] for row in segno.make(url, error="l", micro=False).matrix_iter(border=2)
    ]
    assert rows[: len(wanted)] == wanted


def test_a_browser_takes_it_for_a_secure_context(server: PageServer) -> None:
    """There is neither WebGPU nor a camera without one."""
    pytest.importorskip("playwright")
    from playwright.sync_api import sync_playwright

    if not Path("/usr/bin/chromium").exists():
        pytest.skip("chromium is not installed")
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--enable-unsafe-webgpu"]
        )
        try:
            page = browser.new_context(ignore_https_errors=True).new_page()
            page.goto(server.url)
            assert page.evaluate("isSecureContext && 'gpu' in navigator && 'mediaDevices' in navigator")
        finally:
            browser.close()
