"""A Galaxy server on this machine, with collections that a test publishes."""

import contextlib
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Files = dict[str, str]


def collection(name: str, version: str, files: Files, dependencies: dict[str, str] | None = None) -> bytes:
    """The archive of a collection, as `ansible-galaxy collection build` makes it."""
    namespace, _, short = name.partition(".")
    contents = {path: text.encode() for path, text in {"README.md": "x", **files}.items()}
    folders = sorted({path[:at] for path in contents for at, letter in enumerate(path) if letter == "/"})
    listed = [_listed(folder, "dir", None) for folder in [".", *folders]]
    listed += [_listed(path, "file", hashlib.sha256(data).hexdigest()) for path, data in contents.items()]
    files_json = json.dumps({"files": listed, "format": 1}).encode()
    about = {
        "namespace": namespace, "name": short, "version": version, "authors": ["a"], "readme": "README.md", "tags": [],
        "description": None, "license": [], "license_file": None, "dependencies": dependencies or {},
        "repository": None, "documentation": None, "homepage": None, "issues": None,
    }  # fmt: skip
    manifest = {
        "collection_info": about,
        "file_manifest_file": _listed("FILES.json", "file", hashlib.sha256(files_json).hexdigest()),
        "format": 1,
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for folder in folders:
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(info)
        for path, data in {
            "MANIFEST.json": json.dumps(manifest).encode(),
            "FILES.json": files_json,
            **contents,
        }.items():
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _listed(name: str, kind: str, digest: str | None) -> dict[str, Any]:
    return {
        "name": name,
        "ftype": kind,
        "chksum_type": "sha256" if digest else None,
        "chksum_sha256": digest,
        "format": 1,
    }


@dataclass
class Galaxy:
    """A server: *published* are archives by name and version; *seen* the headers of all requests."""

    published: dict[str, dict[str, tuple[bytes, dict[str, str]]]] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def publish(self, name: str, version: str, files: Files, dependencies: dict[str, str] | None = None) -> None:
        """Publish a collection; the same version again replaces what was there, as a hostile server does."""
        needs = dependencies or {}
        self.published.setdefault(name, {})[version] = (collection(name, version, files, needs), needs)

    def answer(self, path: str) -> bytes | None:
        """The answer to a request; None: there is nothing."""
        parts = path.partition("?")[0].strip("/").split("/")
        if parts == ["api"]:
            return json.dumps({"available_versions": {"v3": "v3/"}}).encode()
        if parts[0] == "download":
            return self.published[parts[1]][parts[2]][0]
        if parts[:3] != ["api", "v3", "collections"] or f"{parts[3]}.{parts[4]}" not in self.published:
            return None
        name, found = f"{parts[3]}.{parts[4]}", self.published[f"{parts[3]}.{parts[4]}"]
        if len(parts) == 5:
            return json.dumps({"namespace": parts[3], "name": parts[4], "deprecated": False}).encode()
        if len(parts) == 6:
            data = [
                {"version": version, "href": f"/api/v3/collections/{parts[3]}/{parts[4]}/versions/{version}/"}
                for version in found
            ]
            return json.dumps({"meta": {"count": len(data)}, "links": {"next": None}, "data": data}).encode()
        archive, needs = found[parts[6]]
        return json.dumps({
            "version": parts[6], "href": path, "namespace": {"name": parts[3]}, "collection": {"name": parts[4]},
            "download_url": f"{self.url}download/{name}/{parts[6]}", "signatures": [],
            "artifact": {"sha256": hashlib.sha256(archive).hexdigest()}, "metadata": {"dependencies": needs},
        }).encode()  # fmt: skip


@contextlib.contextmanager
def galaxy() -> Iterator[Galaxy]:
    """A server for as long as the block lasts."""
    made = Galaxy()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.seen.append(dict(self.headers.items()))
            body = made.answer(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body or b"{}")))
            self.end_headers()
            self.wfile.write(body or b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        made.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        http.shutdown()
        thread.join()
