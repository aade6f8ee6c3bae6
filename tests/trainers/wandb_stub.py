"""A stand-in for wandb's server on 127.0.0.1: answers what `wandb` asks of it, and keeps what it is sent."""

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

import yaml

ENTITY = "us"
HISTORY, SUMMARY, EVENTS, OUTPUT = "wandb-history.jsonl", "wandb-summary.json", "wandb-events.jsonl", "output.log"
Given = dict[str, Any]


@dataclass
class StoredRun:
    """What the server knows of one run: fields, streamed files by line, uploaded files."""

    fields: Given = field(default_factory=dict)
    lines: dict[str, dict[int, str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    exits: list[int] = field(default_factory=list)

    @property
    def config(self) -> Given:
        return {key: entry["value"] for key, entry in json.loads(self.fields.get("config", "{}")).items()}

    def rows(self, name: str = HISTORY) -> list[Given]:
        return [json.loads(line) for _, line in sorted(self.lines.get(name, {}).items())]

    def resumed(self) -> Given:
        """What a client goes on from. Without "t" it was never started: an agent's run before its process is there."""
        known: Given = {key: self.fields.get(key) for key in ("name", "displayName", "config", "tags", "notes")}
        for key, name in {"history": HISTORY, "events": EVENTS, "log": OUTPUT}.items():
            known[f"{key}LineCount"] = len(self.lines.get(name, {}))
            known[f"{key}Tail"] = json.dumps(list(self.lines.get(name, {}).values())[-1:])
        known["summaryMetrics"] = json.dumps((self.rows(SUMMARY) or [{}])[-1])
        return known | {"id": "B", "wandbConfig": json.dumps({"t": {}} if "_wandb" in self.config else {})}


@dataclass
class StoredArtifact:
    given: Given  # how it was created
    manifest: Given = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    committed: bool = False


class WandbStub:
    """The server, as a context manager.

    Args:
        status: what every request is answered with, if it is not 200.
        dies_at: part of an operation's name or a path: the first request for it gets no answer, nor do later ones.
    """

    def __init__(self, *, status: int = 200, dies_at: str = "") -> None:
        self.status, self.dies_at, self.dead = status, dies_at, False
        self.runs: dict[str, StoredRun] = {}
        self.artifacts: list[StoredArtifact] = []
        self.sweeps: list[Given] = []
        self.sent: list[bytes] = []
        self.problems: list[str] = []  # what has no answer here, other hosts, rows that were sent twice
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"stub": self}))
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> "WandbStub":
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.dead = True
        self._http.shutdown()
        self._http.server_close()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Given]:
        """Status and content; status 0 is no answer at all."""
        with self._lock:
            query = json.loads(body) if path == "/graphql" else {}
            named = re.search(r"(?:query|mutation)\s*(\w*)", query.get("query", ""))
            name = named[1] if named else f"{method} {path}"
            self.sent += [path.encode(), body]
            if self.dies_at and self.dies_at in name and not self.dead:
                self.dead = True  # before another request takes the lock
                threading.Thread(target=self.__exit__).start()
            if self.dead or self.status != 200:
                return 0 if self.dead else self.status, {"errors": [{"message": "not served"}]}
            found = self._graphql(name, query.get("variables") or {}) if query else self._rest(method, path, body)
            if found is None:
                self.problems.append(f"{name} {body[:500]!r}")
                return 404, {"errors": [{"message": f"no {name} here"}]}
            return 200, {"data": found} if query else found

    def _graphql(self, name: str, given: Given) -> Given | None:
        entity: Given = {"id": "E", "name": ENTITY, "organization": None}
        project = {"id": "P", "name": given.get("project") or given.get("projectName"), "entity": entity}
        match name:
            case "Viewer":
                return {"viewer": entity | {"entity": ENTITY, "username": "ada", "teams": {"edges": []}}}
            case "ServerFeaturesQuery" | "OrganizationCoreWeaveOrganizationID":
                return {"serverInfo": {"features": []}, "entity": entity}
            case "RunResumeStatus":
                run = self.runs.get(given["name"])
                return {"model": project | {"bucket": run and run.resumed()}}
            case "UpsertBucket":
                run = self.runs.setdefault(given["name"], StoredRun())
                run.fields |= {key: value for key, value in given.items() if value is not None}
                bucket = run.resumed() | {"project": project, "sweepName": run.fields.get("sweep")}
                return {"upsertBucket": {"bucket": bucket, "inserted": True}}
            case "CreateRunFiles":
                files = [{"name": file, "uploadUrl": self._at("run", given["run"], file)} for file in given["files"]]
                return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}
            case "ArtifactType":
                return {"project": {"artifact": None}}
            case "CreateArtifact":
                self.artifacts.append(StoredArtifact(given["input"]))
                return {"createArtifact": {"artifact": {"id": str(len(self.artifacts) - 1), "state": "PENDING"}}}
            case "CreateArtifactManifest":
                file = {"id": "F", "uploadUrl": self._at("manifest", given["artifactID"]), "uploadHeaders": []}
                return {"createArtifactManifest": {"artifactManifest": {"id": "M", "file": file}}}
            case "CreateArtifactFiles":
                nodes = [self._node(file["artifactID"], file["name"]) for file in given["input"]["artifactFiles"]]
                return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}
            case "CommitArtifact":
                self.artifacts[int(given["artifactID"])].committed = True
                return {"commitArtifact": {"artifact": {"id": given["artifactID"]}}}
            case "UpsertSweep":
                self.sweeps.append(yaml.safe_load(given["config"]) | {"project": given["projectName"]})
                return {"upsertSweep": {"sweep": {"name": "sweep1", "project": project}}}
            case "SweepWithRuns":
                return {"project": {"sweep": {"config": yaml.safe_dump(self.sweeps[-1]), "runs": {"edges": []}}}}
            case "CreateAgent":
                return {"createAgent": {"agent": {"id": "A"}}}
            case "Heartbeat":  # the first point of the grid, once
                new = "swept" not in self.runs
                self.runs.setdefault("swept", StoredRun({"sweep": "sweep1"}))
                values = {key: {"value": one["values"][0]} for key, one in self.sweeps[-1]["parameters"].items()}
                commands = [{"type": "run", "run_id": "swept", "program": "", "args": values}] if new else []
                return {"agentHeartbeat": {"agent": {"id": "A"}, "commands": json.dumps(commands)}}
        return None

    def _node(self, number: str, name: str) -> Given:
        url = self._at("artifact", number, name)
        return {"storagePath": name, "uploadUrl": url, "uploadHeaders": [], "artifact": {"id": number}}

    def _at(self, *parts: str) -> str:
        return "/".join([self.url, *map(quote, parts)])

    def _rest(self, method: str, path: str, body: bytes) -> Given | None:
        match method, *map(unquote, path.split("/")[1:]):
            case "POST", "files", _, _, run, "file_stream":
                self._stream(self.runs[run], json.loads(body))
            case "PUT", "run", run, *name:
                self.runs[run].files["/".join(name)] = body
            case "PUT", "artifact", number, *name:
                self.artifacts[int(number)].files["/".join(name)] = body
            case "PUT", "manifest", number:
                self.artifacts[int(number)].manifest = json.loads(body)
            case "POST", "sdk", "otel", *_:  # wandb's telemetry
                pass
            case _:
                return None
        return {}

    def _stream(self, run: StoredRun, sent: Given) -> None:
        for name, part in sent.get("files", {}).items():
            lines, new = run.lines.setdefault(name, {}), dict(enumerate(part["content"], part["offset"]))
            again = new.keys() & lines.keys() if name == HISTORY else ()
            self.problems += [f"row {number} again: {new[number]}" for number in again]
            lines |= new
        run.exits += [sent["exitcode"]] if sent.get("complete") else []


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None: ...  # a client may reset a connection


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: WandbStub

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, content = self.stub.answer(self.command, self.path, body)
        self.close_connection = status == 0
        if status:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_CONNECT = _serve

    def log_message(self, *_: object) -> None: ...
