"""A folder that answers as the Hugging Face Hub does, on the loopback interface."""

import base64
import hashlib
import json
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

TOKEN = "hf_of_the_owner"


class Hub(BaseHTTPRequestHandler):
    """Repositories are folders: USER/NAME/COMMIT/FILE, with refs.json; large files lie in lfs/SHA256."""

    protocol_version = "HTTP/1.1"

    @property
    def root(self):
        return self.server.root

    def log_message(self, *args):
        self.server.requests.append(f"{self.command} {urlsplit(self.path).path}")

    def answer(self, status=200, content=b"", **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        headers = {"Content-Length": len(body)} | {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def refs(self, repo):
        path = self.root / repo / "refs.json"
        return json.loads(path.read_text()) if path.is_file() else None

    def commit_of(self, repo, revision):
        """The commit of a branch, tag or commit; answers and returns None if it may not be seen or does not exist."""
        refs = self.refs(repo)
        if refs is None or (refs["private"] and not self.is_owner):
            self.answer(401, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
        elif (commit := refs["names"].get(revision, revision)) and (self.root / repo / commit).is_dir():
            return commit
        else:
            self.answer(404, X_Error_Code="RevisionNotFound", X_Error_Message="Invalid rev id")
        return None

    @property
    def is_owner(self):
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        if found := re.fullmatch(r"/lfs/(\w{64})", path):
            self.answer(content=(self.root / "lfs" / found[1]).read_bytes())
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self.file(*found.groups())
        else:
            self.answer(404)

    do_HEAD = do_GET  # noqa: N815

    def file(self, repo, revision, name):
        if (commit := self.commit_of(repo, revision)) is None:
            return
        path = self.root / repo / commit / name
        if not path.is_file():
            self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
            return
        content = path.read_bytes()
        if content.startswith(b"lfs "):
            oid = content.split()[1].decode()
            size = (self.root / "lfs" / oid).stat().st_size
            elsewhere = f"http://localhost:{self.server.server_port}/lfs/{oid}"  # as another host, which gets no token
            headers = {"X_Linked_Etag": f'"{oid}"', "X_Linked_Size": size, "Location": elsewhere}
            self.answer(302, X_Repo_Commit=commit, ETag='"pointer"', **headers)
        else:
            self.answer(content=content, X_Repo_Commit=commit, ETag=f'"{hashlib.sha1(content).hexdigest()}"')

    def do_PUT(self):
        oid, content = self.path.rsplit("/", 1)[1], self.body()
        assert hashlib.sha256(content).hexdigest() == oid
        (self.root / "lfs" / oid).write_bytes(content)
        self.answer()

    def do_POST(self):
        path, body = unquote(urlsplit(self.path).path), self.body()
        if not self.is_owner:
            self.answer(401, {"error": "Invalid username or password."})
        elif path == "/api/repos/create":
            self.create(json.loads(body))
        elif path == "/api/validate-yaml":
            self.answer(content={"warnings": [], "errors": []})
        elif found := re.fullmatch(r"/api/models/(.+)/branch/(.+)", path):
            refs = self.refs(found[1])
            refs["names"].setdefault(found[2], refs["names"]["main"])
            (self.root / found[1] / "refs.json").write_text(json.dumps(refs))
            self.answer(content={})
        elif re.fullmatch(r"/api/models/(.+)/preupload/(.+)", path):
            large = [one["path"] for one in json.loads(body)["files"] if one["path"].endswith(".safetensors")]
            modes = [(one["path"], one["path"] in large) for one in json.loads(body)["files"]]
            files = [{"path": p, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False} for p, lfs in modes]
            self.answer(content={"files": files})
        elif path.endswith(".git/info/lfs/objects/batch"):
            href = f"http://{self.headers['Host']}/lfs/"
            wanted = [
                {**one, "actions": {"upload": {"href": href + one["oid"]}}} for one in json.loads(body)["objects"]
            ]
            self.answer(content={"transfer": "basic", "objects": wanted})
        elif found := re.fullmatch(r"/api/models/(.+)/commit/(.+)", path):
            self.commit(found[1], found[2], [json.loads(line) for line in body.splitlines()])
        else:
            self.answer(404)

    def create(self, wanted):
        repo = f"{wanted['organization']}/{wanted['name']}"
        if self.refs(repo) is not None:
            self.answer(409, {"error": "You already created this model repo", "url": repo})
            return
        (self.root / repo / ("0" * 40)).mkdir(parents=True)
        refs = {
            "private": wanted.get("visibility") == "private" or bool(wanted.get("private")),
            "names": {"main": "0" * 40},
        }
        (self.root / repo / "refs.json").write_text(json.dumps(refs))
        self.answer(content={"url": f"http://{self.headers['Host']}/{repo}"})

    def commit(self, repo, revision, lines):
        refs = self.refs(repo)
        oid = hashlib.sha1(json.dumps([refs, lines]).encode()).hexdigest()
        folder = self.root / repo / oid
        shutil.copytree(self.root / repo / refs["names"][revision], folder)
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                (folder / value["path"]).write_bytes(base64.b64decode(value["content"]))
            elif line["key"] == "lfsFile":
                assert (self.root / "lfs" / value["oid"]).stat().st_size == value["size"]
                (folder / value["path"]).write_text(f"lfs {value['oid']}")
        refs["names"][revision] = oid
        (self.root / repo / "refs.json").write_text(json.dumps(refs))
        self.answer(content={"commitUrl": f"http://{self.headers['Host']}/{repo}/commit/{oid}", "commitOid": oid})


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The server; huggingface_hub is directed to it, with an empty cache and the owner's token."""
    constants = pytest.importorskip("huggingface_hub.constants", reason="huggingface_hub is not installed")
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.root, server.requests = tmp_path / "hub", []
        server.cache = tmp_path / "cache"
        (server.root / "lfs").mkdir(parents=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

        def direct_to(port):
            address = f"http://127.0.0.1:{port}"
            template = address + "/{repo_id}/resolve/{revision}/{filename}"
            monkeypatch.setattr(constants, "ENDPOINT", address)
            monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

        direct_to(server.server_port)
        server.unplug = lambda: direct_to(9)  # where nothing listens
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(server.cache))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        yield server
        server.shutdown()
