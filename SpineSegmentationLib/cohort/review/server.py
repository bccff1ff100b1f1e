"""Shows the page of a review to this computer's user and takes the verdicts; the standard library's server."""

from __future__ import annotations

import json
import os
import posixpath
import secrets
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote_to_bytes

from ...errors import SpineError
from ...io.values import read_json
from ..layout import COHORT, REVIEW
from . import verdicts
from .page import DATA, PAGE
from .slicer import write_script

LARGEST = 100_000
"""Bytes of a request that are read."""


class ReviewServer(ThreadingHTTPServer):
    """Serves the page that :func:`page.build` wrote, on 127.0.0.1 only and under a secret address.

    Args:
        output: the folder of the results.
        port: 0 takes a free one.

    Attributes:
        url: of the page. Whoever does not know it sees nothing, also on a computer with many users.

    Raises:
        SpineError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, output: Path, port: int = 0) -> None:
        data = read_json(output / COHORT / REVIEW / DATA)
        here = f"{COHORT}/{REVIEW}"
        rows = [row for row in data["rows"] if "picture" in row]
        self.output = output
        self.digests = {row["scan"]: row["result"] for row in rows}
        self.names = {row["scan"]: len(row["confidences"]) for row in rows}
        # Nothing else is ever sent, whatever is asked for.
        self.files = {f"{here}/{PAGE}": output / COHORT / REVIEW / PAGE}
        for row in rows:
            picture = posixpath.normpath(f"{here}/{_plain(row['picture'])}")
            self.files[picture] = output / picture
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise SpineError(f"port {port} cannot be used: {error.strerror}; give another --port") from error
        self.secret = secrets.token_urlsafe(16)
        self.hosts = {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}
        self.url = f"http://127.0.0.1:{self.server_port}/{self.secret}/{here}/{PAGE}"


def _plain(path: str) -> str:
    """A path without what an address needs; its bytes are those of the file's name, UTF-8 or not."""
    return os.fsdecode(unquote_to_bytes(path))


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer

    def do_GET(self) -> None:
        path = self._path()
        if path == f"{COHORT}/{REVIEW}/verdicts":
            said, _ = verdicts.read(self.server.output)
            self._answer(HTTPStatus.OK, json.dumps([one.to_json() for one in said]).encode(), "application/json")
        elif path in self.server.files:
            kind = "text/html; charset=utf-8" if path.endswith(".html") else "image/png"
            try:
                self._answer(HTTPStatus.OK, self.server.files[path].read_bytes(), kind)
            except OSError:
                self._answer(HTTPStatus.NOT_FOUND, b"the file is gone", "text/plain")
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"no such page", "text/plain")

    def do_POST(self) -> None:
        tasks = {f"{COHORT}/{REVIEW}/verdicts": self._verdict, f"{COHORT}/{REVIEW}/slicer": self._slicer}
        task = tasks.get(self._path() or "")
        length = self.headers.get("Content-Length", "")
        if task is None or not length.isdecimal() or int(length) > LARGEST:
            self._answer(HTTPStatus.NOT_FOUND, b"no such page", "text/plain")
            return
        try:
            told = task(json.loads(self.rfile.read(int(length))))
        except (SpineError, ValueError) as error:
            self._answer(HTTPStatus.BAD_REQUEST, str(error).encode(), "text/plain; charset=utf-8")
            return
        self._answer(HTTPStatus.OK, told.encode(), "text/plain; charset=utf-8")

    def _verdict(self, value: object) -> str:
        verdict = verdicts.Verdict.from_json(value)
        if self.server.digests.get(verdict.scan) != verdict.result:
            raise SpineError(f"{verdict.scan} has another result now; start the review again")
        if verdict.levels and len(verdict.levels) != self.server.names[verdict.scan]:
            raise SpineError(f"{verdict.scan} has {self.server.names[verdict.scan]} vertebrae to be named")
        verdicts.add(self.server.output, verdict)
        return "saved"

    def _slicer(self, value: object) -> str:
        scan = value.get("scan") if isinstance(value, dict) else None
        if not isinstance(scan, str) or scan not in self.server.digests:
            raise SpineError(f"there is no result called {scan}")
        return str(write_script(self.server.output, scan).resolve())

    def _path(self) -> str | None:
        """What is asked for behind the secret; None for who does not know it, or comes from another site's page."""
        secret, _, path = _plain(self.path.lstrip("/").partition("?")[0]).partition("/")
        known = secrets.compare_digest(os.fsencode(secret), self.server.secret.encode())
        origin = self.headers.get("Origin")
        ours = self.headers.get("Host") in self.server.hosts
        if origin is not None:
            ours = ours and origin.removeprefix("http://") in self.server.hosts
        return path if known and ours else None

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store" if kind != "image/png" else "private, max-age=600")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
