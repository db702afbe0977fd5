"""A model hub on loopback: as much of the real one's API as a pull uses, and what goes wrong on the way."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".onnx", ".safetensors")


@dataclass
class Hub:
    """Repositories by name, each a mapping of file names to bytes; `log` has a line for each GET of a file."""

    repositories: dict[str, dict[str, bytes]]
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[tuple[str, str | None]] = field(default_factory=list)  # file, Range header
    break_after: dict[str, int] = field(default_factory=dict)  # file -> bytes, then the connection is cut, once
    damaged: set[str] = field(default_factory=set)  # files that arrive with a wrong byte
    url: str = ""


def describe(name: str, content: bytes) -> dict[str, Any]:
    """A file in the answer of /api/models, with the hashes the hub gives."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    said: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": blob}
    if name.endswith(LARGE):
        sha256 = hashlib.sha256(content).hexdigest()
        said["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
    return said


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Answers on a free port of 127.0.0.1 until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._file(head=True)

        def do_GET(self) -> None:
            match = re.fullmatch(r"/api/models/([^/]+/[^/?]+)(?:/revision/([^?]+))?(?:\?.*)?", self.path)
            if match is None:
                self._file(head=False)
            elif match[1] not in hub.repositories or match[2] not in (None, "main", COMMIT):
                self._missing("RepoNotFound" if match[1] not in hub.repositories else "RevisionNotFound")
            else:
                files = [describe(name, content) for name, content in hub.repositories[match[1]].items()]
                said = {"id": match[1], "sha": COMMIT, "siblings": files, "cardData": hub.cards.get(match[1], {})}
                self._answer(200, json.dumps(said).encode(), {"Content-Type": "application/json"})

        def _file(self, head: bool) -> None:
            match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", self.path)
            content = hub.repositories.get(match[1], {}).get(match[2]) if match else None
            if match is None or content is None:
                self._missing("EntryNotFound")
                return
            said = describe(match[2], content)
            tag = said["lfs"]["sha256"] if "lfs" in said else said["blobId"]
            headers = {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            if head:
                self._answer(200, b"", headers | {"Content-Length": str(len(content))})
                return
            self._body(match[2], content, headers)

        def _body(self, name: str, content: bytes, headers: dict[str, str]) -> None:
            asked = self.headers.get("Range")
            hub.log.append((name, asked))
            if name in hub.damaged:
                content = content[:-1] + bytes([content[-1] ^ 1])
            status, total = 200, len(content)
            if asked:
                first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", asked).groups()  # type: ignore[union-attr]
                end = int(last) + 1 if last else total
                content, status = content[int(first) : end], 206
                headers = headers | {"Content-Range": f"bytes {first}-{end - 1}/{total}"}
            limit = hub.break_after.pop(name, None)
            self._answer(status, content if limit is None else content[:limit], headers, len(content))
            if limit is not None:
                self.close_connection = True

        def _missing(self, code: str) -> None:
            self._answer(404, b"{}", {"X-Error-Code": code, "X-Error-Message": "not here"})

        def _answer(self, status: int, body: bytes, headers: dict[str, str], length: int | None = None) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body) if length is None else length)} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    return Handler
