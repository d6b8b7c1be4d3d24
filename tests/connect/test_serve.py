"""`connect serve` serves two files under a secret address, and nothing else."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from coursera_connect.cli.main import main
from coursera_connect.errors import UsageError
from coursera_connect.report.serve import Server
from tests.connect.warehouse import Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def files(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.package.parent.mkdir()
    place.package.write_bytes(b"PK")
    place.package.with_name("report.html").write_text("<p>page</p>")
    (place.package.parent / "secret.txt").write_text("secret")
    return place


@contextmanager
def serving(files: Place, idle: float = 60) -> Iterator[Server]:
    with Server(files.package.with_name("report.html"), files.package, 0, idle) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


def ask(server: Server, path: str, host: str = "", method: str = "GET") -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, dict(answer.getheaders())


def test_the_page_and_the_package_are_there_and_always_the_newest(files: Place) -> None:
    with serving(files) as server:
        root = urlsplit(server.url).path
        status, body, headers = ask(server, root)
        assert (status, body, headers["Content-Type"]) == (200, b"<p>page</p>", "text/html; charset=utf-8")
        assert (headers["Cache-Control"], headers["X-Frame-Options"]) == ("no-store", "DENY")
        assert ask(server, f"{root}oneroster.zip")[:2] == (200, b"PK")
        files.package.write_bytes(b"PK newer")
        assert ask(server, f"{root}oneroster.zip", f"localhost:{server.server_port}")[:2] == (200, b"PK newer")
        assert ask(server, root, method="HEAD")[:2] == (200, b"")
        files.package.unlink()
        status, body, _ = ask(server, f"{root}oneroster.zip")
        assert (status, b"connect publish" in body) == (404, True)


def test_nothing_else_is_and_no_other_host_method_or_guess_gets_anything(files: Place) -> None:
    with serving(files) as server:
        root = urlsplit(server.url).path
        for path in (
            "/",
            "/report.html",
            f"{root}report.html",
            f"{root}secret.txt",
            f"{root}../secret.txt",
            f"{root}%2e%2e/",
            root[:-2] + "/",
            root.rstrip("/"),
        ):
            status, body, _ = ask(server, path)
            assert (status, b"secret" in body) == (404, False), path
        port = server.server_port
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port}.evil.example"):
            assert ask(server, root, host)[0] == 421, host
        assert ask(server, root, method="POST")[0] == 501
        assert server.server_address[0] == "127.0.0.1"


def test_it_ends_when_nobody_asks_any_more_and_each_run_has_another_address(files: Place) -> None:
    page = files.package.with_name("report.html")
    with Server(page, files.package, 0, 0.2) as one, Server(page, files.package, 0, 60) as other:
        assert urlsplit(one.url).path != urlsplit(other.url).path
        one.serve_forever(0.05)  # returns


def test_a_port_that_is_taken_and_a_page_that_is_missing_are_told(files: Place, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="choose another"):
        Server(tmp_path, tmp_path, taken.getsockname()[1], 1)
    files.package.with_name("report.html").unlink()
    done = CliRunner().invoke(main, ["serve", "--package", str(files.package)])
    assert (done.exit_code, "run `connect report` first" in done.stderr) == (4, True)


def test_the_address_is_printed_and_ctrl_c_ends_it(files: Place) -> None:
    command = [*files.command("x")[:3], "serve", "--package", str(files.package), "--port", "0", "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "CONNECT_REPORT"}
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**environment, "PYTHONUNBUFFERED": "1"}
    )
    assert running.stdout is not None
    told = json.loads(running.stdout.readline())
    split = urlsplit(told["url"])
    connection = http.client.HTTPConnection("127.0.0.1", split.port or 0, timeout=10)
    connection.request("GET", split.path)
    assert connection.getresponse().read() == b"<p>page</p>"
    connection.close()
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=20)
    assert (running.returncode, said) == (0, "Stopped.\n")
