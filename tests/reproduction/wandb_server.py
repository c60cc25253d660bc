"""A server on this machine that answers the real W&B client as api.wandb.ai does, from recorded answers."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("recorded")
PAGE = 2  # runs a page, so that a few runs are several pages


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return found


class Server:
    """Runs of one project, and what was asked of it.

    Attributes:
        nodes: runs by id, in order.
        files: content by run id and name.
        broken: paths and names of queries that are answered with an error.
        uploaded: content by run id and name.
        queries: names of what was asked.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self.broken: set[str] = set()
        self.queries: list[str] = []
        self.downloads: list[str] = []
        self.uploaded: dict[str, bytes] = {}
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def add(self, name: str, config: dict[str, Any], summary: dict[str, Any], **fields: Any) -> None:
        """Add a run; numbers go through JSON as W&B stores them, where 1.0 is 1."""
        stored = {k: {"value": v, "desc": None} for k, v in _whole(config).items()}
        stored["_wandb"] = {"value": {"cli_version": "0.31.0"}}
        node = recorded("node") | {"name": name, "config": json.dumps(stored), "summaryMetrics": json.dumps(summary)}
        self.nodes[name] = node | fields

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "query Runs(" in query:
            return self._runs(variables)
        if "query Run(" in query:
            return {"data": {"project": {"run": self.nodes.get(variables["name"])}}}
        if "query RunFiles(" in query:
            return self._files(variables)
        if "createRunFiles" in query:
            names = [{"name": n, "uploadUrl": f"{self.url}/upload/{variables['run']}/{n}"} for n in variables["files"]]
            return {"data": {"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": names}}}
        return recorded("viewer")

    def _runs(self, variables: dict[str, Any]) -> dict[str, Any]:
        if variables["project"] != "reprise":
            return {"data": {"project": None}}
        first = int(variables.get("cursor") or 0)
        edges = [{"node": n, "cursor": str(i)} for i, n in enumerate(self.nodes.values(), 1)][first : first + PAGE]
        info = {"endCursor": edges[-1]["cursor"] if edges else None, "hasNextPage": first + PAGE < len(self.nodes)}
        return {
            "data": {
                "project": {
                    "internalId": "4711",
                    "runCount": len(self.nodes),
                    "readOnly": False,
                    "runs": {"edges": edges, "pageInfo": info},
                }
            }
        }

    def _files(self, variables: dict[str, Any]) -> dict[str, Any]:
        run, edges = variables["name"], []
        for name in variables["fileNames"]:
            if (content := self.files.get((run, name))) is not None:
                url = f"{self.url}/files/{run}/{name}"
                node = {"name": name, "url": url, "directUrl": url, "sizeBytes": str(len(content))}
                edges.append(
                    {"node": recorded("file") | node | {"md5": hashlib.md5(content).hexdigest()}, "cursor": ""}
                )
        files = {"edges": edges, "pageInfo": {"endCursor": "", "hasNextPage": False}}
        return {"data": {"project": {"internalId": "4711", "run": {"fileCount": len(edges), "files": files}}}}


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _whole(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_whole(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _handler(server: Server) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *words: Any) -> None:
            pass

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = asked["query"].split("(")[0].split()[-1]
            server.queries.append(name)
            if name in server.broken:
                self.reply(200, json.dumps({"errors": [{"message": "permission denied"}]}).encode())
            else:
                self.reply(200, json.dumps(server.answer(asked["query"], asked.get("variables") or {})).encode())

        def do_GET(self) -> None:
            server.downloads.append(self.path)
            content = server.files.get(tuple(self.path.removeprefix("/files/").split("/", 1)))  # type: ignore[arg-type]
            self.reply(404 if content is None or self.path in server.broken else 200, content or b"")

        def do_PUT(self) -> None:
            server.uploaded[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
            self.reply(200, b"")

        def reply(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler
