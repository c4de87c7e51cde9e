import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

HTML = b"<!DOCTYPE html>\n<html><body>Log in to the network</body></html>"


class Site:
    """A real HTTP server on loopback that does to its first requests what `faults` says, one fault a request."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: list[str] = []
        self.headers: dict[str, str] = {}
        self.requests: list[tuple[str, str | None]] = []  # (path, Range)
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def next_fault(self, path: str, byte_range: str | None) -> str:
        with self._lock:
            self.requests.append((path, byte_range))
            return self.faults.pop(0) if self.faults else ""

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def answer(self, status: int, body: bytes, headers: dict[str, str], sent: int | None = None) -> None:
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body if sent is None else body[:sent])

            def do_GET(self) -> None:
                byte_range = self.headers.get("Range")
                fault = site.next_fault(self.path, byte_range)
                content = site.files.get(self.path)
                if content is None:
                    return self.answer(404, b"no such file", {})
                start = int(byte_range.removeprefix("bytes=").removesuffix("-")) if byte_range else 0
                if fault == "ignores Range":
                    start = 0
                status, headers = 200, dict(site.headers)
                if start:
                    status = 206
                    headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                body = content[start:]
                match fault:
                    case "500" | "503" | "429":
                        return self.answer(int(fault), b"later", {})
                    case "HTML":
                        return self.answer(200, HTML, {"Content-Type": "text/html; charset=utf-8"})
                    case "HTML as a file":
                        return self.answer(200, HTML, {"Content-Type": "application/octet-stream"})
                    case "file scheme":
                        return self.answer(302, b"", {"Location": "file:///etc/hostname"})
                    case "truncates":
                        return self.answer(status, body, headers, sent=len(body) // 2)
                    case "declares half":
                        return self.answer(status, body[: len(body) // 2], headers)
                    case "stalls":
                        self.answer(status, body, headers, sent=len(body) // 2)
                        self.wfile.flush()
                        site.closing.wait(20)
                        return None
                    case "drips":
                        self.answer(status, body, headers, sent=0)
                        for place in range(len(body)):
                            self.wfile.write(body[place : place + 1])
                            if site.closing.wait(0.02):
                                break
                        return None
                    case "silent":
                        site.closing.wait(20)
                        return None
                    case "hangs up":
                        return None
                    case "wrong part":
                        headers["Content-Range"] = f"bytes 1-{len(content) - 1}/{len(content)}"
                        return self.answer(206, content[1:], headers)
                    case "other content":
                        return self.answer(status, bytes(255 - byte for byte in body), headers)
                    case "too long":
                        return self.answer(status, body + b"more", headers)
                    case "" | "ignores Range":
                        if start >= len(content):
                            return self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                        return self.answer(status, body, headers)
                raise AssertionError(fault)

        return Handler


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    site = Site()
    yield site
    site.close()
