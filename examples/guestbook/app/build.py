"""Packs server.py and app/VERSION into dist/guestbook-VERSION.tar.gz, the same bytes each time."""

import gzip
import io
import pathlib
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent


def pack(version):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        files = {path.name: path.read_bytes() for path in (HERE / "server.py", HERE / version / "book.py")}
        for name, data in {**files, "VERSION": version.encode()}.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))
    target = HERE.parent / "dist" / f"guestbook-{version}.tar.gz"
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(gzip.compress(out.getvalue(), mtime=0))
    return target


if __name__ == "__main__":
    for version in sys.argv[1:]:
        print(pack(version))
