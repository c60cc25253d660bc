"""A web server on this machine, for downloads."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from reprise.data.sources import Source


class Server:
    """Serves files from memory, with ranges; counts bytes and can cut answers short."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.sent: list[int] = []
        self.limit: int | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = outer.files.get(self.path.lstrip("/"))
                if content is None:
                    self.send_error(404)
                    return
                first = int(self.headers.get("Range", "bytes=0-")[6:-1])
                self.send_response(206 if first else 200)
                body = content[first:]
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                body = body[: outer.limit] if outer.limit is not None else body
                outer.sent.append(len(body))
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def source(self, name: str, content: bytes, **changes: object) -> Source:
        self.files[name] = content
        url = f"http://127.0.0.1:{self.http.server_port}/{name}"
        values = {
            "name": name,
            "url": url,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "licence": "none",
        }
        return Source(**{**values, **changes})  # type: ignore[arg-type]
