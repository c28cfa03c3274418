"""A proxy on loopback that hands HTTP requests on, and does harm to some of them on the way."""

import http.client
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# what may happen to the request with this number (0, 1, ...), of this method
Harm = Callable[[int, str], str | None]
FAIL, DROP, LOSE, CUT, SLOW, HANG = "fail", "drop", "lose", "cut", "slow", "hang"
SLOW_S = 1.0
HANG_S = 60.0


class FaultyProxy:
    """`harm(number, method)` names what happens to a request.

    FAIL: 503, the server never sees it; DROP: the connection ends, the server never sees it; LOSE: the server does
    what was asked, the answer is lost; CUT: half of the answer's body arrives; SLOW: the answer comes late; HANG: none
    comes, and the connection stays.
    """

    def __init__(self, target: str, harm: Harm) -> None:
        self.harm, self.count, self._lock = harm, 0, threading.Lock()
        self._closed = threading.Event()
        where = urlsplit(target)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                with proxy._lock:
                    number, proxy.count = proxy.count, proxy.count + 1
                what = proxy.harm(number, self.command)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.close_connection = True
                if what == HANG:
                    proxy._closed.wait(HANG_S)
                if what in (DROP, HANG):
                    return
                if what == FAIL:
                    self._answer(503, [], b"<Error><Code>SlowDown</Code><Message>later</Message></Error>")
                    return
                onward = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
                onward.request(self.command, self.path, body, dict(self.headers))
                answer = onward.getresponse()
                content = answer.read()
                headers = [each for each in answer.getheaders() if each[0].lower() not in _HOP]
                onward.close()
                if what == LOSE:
                    return
                if what == SLOW:
                    time.sleep(SLOW_S)
                cut = what == CUT and len(content) > 1
                self._answer(answer.status, headers, content, cut, answer.getheader("Content-Length"))

            def _answer(
                self,
                status: int,
                headers: list[tuple[str, str]],
                body: bytes,
                cut: bool = False,
                size: str | None = None,
            ) -> None:
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(size if size is not None else len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body[: len(body) // 2] if cut else body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_one

            def log_message(self, *words: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        """Nobody listens there any more."""
        self._closed.set()
        self.server.shutdown()
        self.server.server_close()


_HOP = {"content-length", "connection", "transfer-encoding", "date", "server"}
