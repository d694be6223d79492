"""A hub of its own on this machine: the answers that huggingface_hub wants, and what it was sent."""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_" + "t" * 30
PREFIXES = {"model": "", "dataset": "datasets/"}


class FakeHub(ThreadingHTTPServer):
    """
    repos       (kind, repository) -> file -> content
    made        (kind, repository) -> whether it is private
    requests    method, path, headers and body of every request
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repos, self.made, self.objects, self.requests = {}, {}, {}, []
        self.owners = ["house"]


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        self.answer()

    do_POST = do_PUT = do_GET

    def answer(self):
        hub, length = self.server, int(self.headers.get("Content-Length") or 0)
        body, parts = self.rfile.read(length), self.path.partition("?")[0].strip("/").split("/")
        hub.requests.append((self.command, self.path, dict(self.headers), body))
        if parts[0] == "objects":  # the storage of large files, whose addresses are signed: no token
            hub.objects[parts[1]] = body
            return self.send({})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.send({"error": "Invalid username or password."}, 401)
        data = json.loads(body) if body and "ndjson" not in self.headers["Content-Type"] else None
        if parts[-3:] == ["lfs", "objects", "batch"]:
            return self.send({"transfer": "basic", "objects": [self.place_of(one) for one in data["objects"]]})
        if parts[1] == "repos":
            return self.create(data)
        if parts[1] in ("whoami-v2", "validate-yaml"):
            return self.send({"name": "me", "type": "user", "orgs": [], "auth": {}, "errors": [], "warnings": []})
        return self.answer_of_repository(parts[1].removesuffix("s"), "/".join(parts[2:4]), parts[4:5], body)

    def answer_of_repository(self, kind, repository, verb, body):
        files = self.server.repos.get((kind, repository))
        if files is None:
            return self.send({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        if verb == ["tree"]:
            return self.send([{"type": "file", "path": name, "size": 1, "oid": "0" * 40} for name in files])
        if verb == ["preupload"]:
            return self.send({"files": [self.way_of(one["path"]) for one in json.loads(body)["files"]]})
        if verb == ["commit"]:
            return self.commit(kind, repository, files, body)
        return self.send({"id": repository, "sha": "1" * 40})

    def create(self, data):
        hub, kind = self.server, data.get("type", "model")
        repository = f"{data['organization']}/{data['name']}"
        if data["organization"] not in hub.owners:
            return self.send({"error": "You don't have the rights"}, 403)
        url = {"url": f"{hub.url}/{PREFIXES[kind]}{repository}"}
        if (kind, repository) in hub.repos:
            return self.send(url | {"error": "You already created this repo"}, 409)
        hub.repos[kind, repository] = {".gitattributes": b""}
        hub.made[kind, repository] = data.get("private", data.get("visibility") == "private")
        return self.send(url)

    def place_of(self, wanted):
        upload = {"href": f"{self.server.url}/objects/{wanted['oid']}"}
        return wanted | {"actions": {"upload": upload}}

    def way_of(self, path):
        large = path.endswith((".parquet", ".safetensors", ".png"))
        return {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}

    def commit(self, kind, repository, files, body):
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                files.pop(value["path"], None)
        place = f"{self.server.url}/{PREFIXES[kind]}{repository}/commit/{'1' * 40}"
        return self.send({"commitOid": "1" * 40, "commitUrl": place, "hookOutput": ""})

    def send(self, data, status=200, headers=()):
        content = json.dumps(data).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **dict(headers)}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def fake_hub():
    hub = FakeHub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
