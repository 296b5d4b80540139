# Copyright: The Orchestrator authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs on the host: one script, standard library only, Python 3.7 or newer.

It reads from standard input a line of JSON (what to do) and, when there is one, the artifact; it prints one line of
JSON. Whatever happens to it, `current` points to a complete release: a release folder appears by one rename, the
link changes by one rename, and the state is written by one rename.

Beside the state it keeps the ledger of the host: the newest fence, and what was begun and done for which run. The
orchestrator's own shell script reads and writes the same files; docs/decisions/0008-ledger.md says what stands where.

What only some requests need is imported where it is used: to import it takes longer than to switch to a release that is
there, and a rollback does that on many hosts at once.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time

STATE = ".orchestrator/state.json"
DONE = ".orchestrator-release.json"
FILES = ".orchestrator-files.json"  # what each file of a release was when it was put there
KEPT = 500  # lines of the ledger
MOST_SAID = 1 << 20  # bytes of an answer
FENCE = re.compile(r'"fence": ([0-9]{1,15})(?![0-9])')
WIDTH = 15  # digits of a fencing token, on every host and in every store


class Failed(Exception):
    """Something that the user can understand."""


def read_json(path):
    """The JSON object in a file; None where there is none, or something else."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def write_file(path, data, mode=0o644):
    """Put *data* into *path*, as a whole and durably."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".new-{os.getpid()}-{name}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_folder(folder)


def read_lines(path):
    """The lines of a text file; none where there is no such file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def fingerprint(path):
    """A file's SHA-256, and `x` when it can be executed; nothing when there is no such file."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                digest.update(chunk)
            return digest.hexdigest() + ("x" if os.fstat(file.fileno()).st_mode & 0o100 else "")
    except OSError:
        return ""


def fingerprints(folder):
    """Of every file below *folder*, by its name there; links lead to what outlives releases, and are left out."""
    found = {}
    for at, _folders, names in os.walk(folder):
        for path in (os.path.join(at, name) for name in names):
            if not os.path.islink(path):
                found[os.path.relpath(path, folder)] = fingerprint(path)
    return found


def sync_folder(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(folder, ignore_errors=False):
    """Remove a folder and all that is in it."""
    import shutil

    shutil.rmtree(folder, ignore_errors=ignore_errors)


class Ledger:
    """What one folder of the host remembers: the newest fence, and what was begun and done for which run."""

    def __init__(self, folder, elsewhere):
        self.folder, self.elsewhere = folder, elsewhere

    def seen(self):
        """The newest fence that this host has seen, by whatever of its files can still be read."""
        found = [0]
        for folder in (self.folder, self.elsewhere):
            found += [int(line) for line in read_lines(os.path.join(folder, "fence")) if re.match(r"[0-9]{1,15}$", line)]
            for name in ("ledger.jsonl", "state.json"):
                found += [int(number) for line in read_lines(os.path.join(folder, name)) for number in FENCE.findall(line)]
        return max(found)

    def claim(self, fence):
        if read_lines(os.path.join(self.folder, "fence")) != [str(fence)]:
            write_file(os.path.join(self.folder, "fence"), b"%d\n" % fence)

    def entries(self):
        """What was written, oldest first; a line that is no entry is none."""
        found = []
        for line in read_lines(os.path.join(self.folder, "ledger.jsonl")):
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    found.append(entry)
        return found

    def append(self, entry):
        lines = [json.dumps(known) for known in self.entries()][1 - KEPT :] + [json.dumps(entry)]
        write_file(os.path.join(self.folder, "ledger.jsonl"), "".join(line + "\n" for line in lines).encode())


class Host:
    """The host's side of one request."""

    def __init__(self, request, data):
        self.request, self.data = request, data
        self.root = os.path.realpath(request["root"])
        self.check = request["check"]
        self.changed, self.did, self.diffs = False, [], []
        self.look_again()
        self.restart_wanted = False
        self.whole = set()  # folders of releases whose files were compared, and are as they were put there
        below = re.sub(r"[^A-Za-z0-9_.-]", "_", request.get("below") or "none")
        self.ledger = Ledger(self.path(".orchestrator"), os.path.join(os.path.expanduser("~/.orchestrator-release"), below))

    # -- names --------------------------------------------------------------------------------------------------------

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def folder(self):
        release = self.request["release"]
        short = release["digest"].split(":")[-1][:12]
        return f"{release['name']}-{release['version']}-{short}"

    def note(self, what):
        self.changed = True
        self.did.append(what)

    def look_again(self):
        """Read the state. Where `current` points is what runs: we may have died before it moved, or a hand has moved it."""
        self.state = read_json(self.path(STATE)) or {}
        for name in ("current", "previous"):
            if not isinstance(self.state.get(name), dict):
                self.state.pop(name, None)
        known, link = self.state.get("current"), self.path("current")
        folder = os.path.basename(os.readlink(link)) if os.path.islink(link) else None
        if known and known.get("folder") != folder:
            there = read_json(os.path.join(link, DONE)) if folder else None
            self.state["current"] = {**there, "folder": folder} if there and there.get("digest") else None
            self.state["previous"] = known  # where a switch that broke off was going, or what the hand moved it from
        self.before = self.state.get("current")

    def altered(self, folder, rewritten=()):
        """The files of a release that are not as they were put there; those that are *rewritten* anyway do not count."""
        there = self.path("releases", folder)
        known = read_json(os.path.join(there, FILES)) or {}  # none: put there before files were remembered
        return sorted(name for name, was in known.items() if name not in rewritten and fingerprint(os.path.join(there, name)) != was)

    # -- verbs --------------------------------------------------------------------------------------------------------

    def install(self):
        """Unpack the artifact beside the other releases; the folder appears complete, by one rename."""
        target = self.path("releases", self.folder())
        artifact = self.request["artifact"]
        if self.has_it():
            return
        if self.check:
            self.note(f"install {self.folder()}")
            return
        if self.data is None:
            raise NeedData
        import tempfile

        incoming = tempfile.mkdtemp(prefix=".incoming-", dir=self.path("releases"))
        try:
            packed = os.path.join(incoming, "artifact")
            self.receive(packed, artifact)
            os.mkdir(os.path.join(incoming, "release"), 0o755)
            unpack(packed, os.path.join(incoming, "release"), artifact["name"], artifact.get("unpack"))
            for name in self.request["shared"]:
                self.link_shared(os.path.join(incoming, "release"), name)
            about = {**self.request["release"], "sha256": artifact["sha256"]}
            files = fingerprints(os.path.join(incoming, "release"))
            write_file(os.path.join(incoming, "release", FILES), json.dumps(files).encode())
            write_file(os.path.join(incoming, "release", DONE), json.dumps(about).encode())
            if os.path.isdir(target):  # the same release, built again with another artifact, or changed here
                os.rename(target, os.path.join(incoming, "old"))
            os.rename(os.path.join(incoming, "release"), target)
            sync_folder(self.path("releases"))
            self.whole.add(self.folder())
        finally:
            remove(incoming, ignore_errors=True)
        self.restart_wanted = True
        self.note(f"install {self.folder()}")

    def has_it(self):
        """Whether the release lies here as it was put here: one that was changed since is put here once more."""
        done = read_json(os.path.join(self.path("releases", self.folder()), DONE))
        if not done or done.get("sha256") != self.request["artifact"]["sha256"]:
            return False
        if self.folder() not in self.whole:
            changed = self.altered(self.folder(), [os.path.normpath(file["dest"]) for file in self.request["config"]])
            if changed:
                self.did.append(f"found {', '.join(changed[:5])} changed")
                return False
            self.whole.add(self.folder())
        return True

    def receive(self, path, artifact):
        """Write what comes in to *path*, and refuse it unless it is what was announced."""
        digest, left = hashlib.sha256(), artifact["size"]
        with open(path, "wb") as file:
            while left:
                chunk = self.data.read(min(1 << 20, left))
                if not chunk:
                    raise Failed("the artifact ended early")
                digest.update(chunk)
                file.write(chunk)
                left -= len(chunk)
        if digest.hexdigest() != artifact["sha256"]:
            raise Failed(f"the artifact that arrived is not the one that was sent: sha256 {digest.hexdigest()}")

    def link_shared(self, release, name):
        """Link what outlives releases, as seen from where the release folder will be once it is renamed."""
        shared, link = self.path("shared", name), os.path.join(release, name)
        os.makedirs(shared, exist_ok=True)
        if os.path.isdir(link) and not os.path.islink(link):
            remove(link)
        elif os.path.lexists(link):
            os.unlink(link)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        place = os.path.dirname(self.path("releases", self.folder(), name))
        os.symlink(os.path.relpath(shared, place), link)

    def configure(self):
        """Write rendered files into the release; a difference wants a restart."""
        for file in self.request["config"]:
            path = self.path("releases", self.folder(), file["dest"])
            old = b""
            with contextlib.suppress(OSError), open(path, "rb") as there:
                old = there.read()
            new, mode = file["content"].encode(), int(file["mode"], 8)
            if old == new and os.path.exists(path) and os.stat(path).st_mode & 0o7777 == mode:
                continue
            self.diffs.append(
                {"before": old.decode("utf-8", "replace"), "after": file["content"], "before_header": path, "after_header": path}
            )
            if not self.check:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                write_file(path, new, mode)
            self.restart_wanted = True
            self.note(f"configure {file['dest']}")
            if not self.check:
                self.remember_file(file["dest"])

    def remember_file(self, name):
        there, name = self.path("releases", self.folder()), os.path.normpath(name)
        known = read_json(os.path.join(there, FILES))
        if known is not None:
            known[name] = fingerprint(os.path.join(there, name))
            write_file(os.path.join(there, FILES), json.dumps(known).encode())

    def switch(self):
        """Let `current` point to the release, by one rename."""
        self.point_to(self.folder(), self.request["release"])

    def point_to(self, folder, release):
        link, target = self.path("current"), os.path.join("releases", folder)
        there = os.readlink(link) if os.path.islink(link) else None
        same = there == target and (self.state.get("current") or {}).get("digest") == release["digest"]
        if same:
            return
        if not self.check:
            if not os.path.isdir(self.path(target)):
                raise Failed(f"{folder} is not installed")
            changed = [] if folder in self.whole else self.altered(folder)
            if changed:
                raise Failed(f"{folder} is not what was put here: {', '.join(changed[:5])} was changed; install it again")
            self.remember(folder, release)
            temporary = self.path(f".current-{os.getpid()}")
            os.symlink(target, temporary)
            os.rename(temporary, link)
            sync_folder(self.root)
        self.restart_wanted = True
        self.note(f"switch to {folder}")

    def remember(self, folder, release):
        current = {
            "digest": release["digest"],
            "name": release["name"],
            "version": release["version"],
            "folder": folder,
            "run": self.request["run"],
            "fence": self.request["fence"],
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        old = self.state.get("current")
        if old and old.get("folder") != folder:
            self.state["previous"] = old
        self.state["current"] = current
        self.state.pop("fence", None)  # it stands in a file of its own
        self.save()

    def save(self):
        write_file(self.path(STATE), json.dumps(self.state, indent=1, sort_keys=True).encode())

    def restart(self, always=True):
        """Run the restart command, or the small service keeper."""
        if not (always or self.restart_wanted):
            return
        if not self.check:
            if self.request["service"]:
                self.stop_service()
                self.start_service()
            elif self.request["restart"]:
                self.run_command(self.request["restart"])
        if self.request["service"] or self.request["restart"]:
            self.note("restart")

    def run_command(self, command):
        words = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        done = subprocess.run(
            words, cwd=self.path("current"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "RELEASE_ROOT": self.root}, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise Failed(f"the restart command ended with {done.returncode}: {done.stdout.decode('utf-8', 'replace')[-2000:]}")

    def start_service(self):
        service = self.request["service"]
        os.makedirs(self.path("shared", "log"), exist_ok=True)
        env = {**os.environ, **{key: str(value) for key, value in (service.get("env") or {}).items()}, "RELEASE_ROOT": self.root}
        with open(self.path("shared", "log", "service.log"), "ab") as log:
            process = subprocess.Popen(
                [str(word) for word in service["command"]], cwd=self.path("current"), env=env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, close_fds=True,
            )  # fmt: skip
        write_file(self.path(".orchestrator", "service.json"), json.dumps({"pid": process.pid, "start": started(process.pid)}).encode())

    def stop_service(self):
        """End the service that was started last, if it is still that very process."""
        known = read_json(self.path(".orchestrator", "service.json"))
        if not known or not known.get("start") or started(known["pid"]) != known["start"]:
            return
        for number, patience in ((signal.SIGTERM, self.request["service"].get("stop_timeout", 10)), (signal.SIGKILL, 10)):
            with contextlib.suppress(OSError):
                os.killpg(known["pid"], number)
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    os.waitpid(known["pid"], os.WNOHANG)
                if started(known["pid"]) != known["start"]:
                    return
                time.sleep(0.01)
        raise Failed(f"the process {known['pid']} of the old release does not end")

    def probe(self):
        """Ask the service until it answers as expected, or the time is over."""
        probe = self.request["probe"]
        if not probe or self.check:
            return
        deadline, why = time.monotonic() + float(probe.get("timeout", 30)), "no answer"
        while True:
            why = self.look(probe)
            if why is None:
                return
            if time.monotonic() > deadline:
                raise Failed(f"{probe['url']} {why}")
            time.sleep(float(probe.get("interval", 0.05)))

    def look(self, probe):
        try:
            status, body = ask(probe["url"])
        except (OSError, ValueError) as error:
            return f"does not answer: {getattr(error, 'reason', error)}"
        if status != int(probe.get("status", 200)):
            return f"answers {status}: {body[:300].strip()}"
        if probe.get("contains") is not None and str(probe["contains"]) not in body:
            return f"answers without {probe['contains']!r}: {body[:300].strip()}"
        return None

    def revert(self):
        """Go back to the release that was current before.

        Where a release is named and another one is current, that has been done, or was never needed: going back from
        there would lead to what was left before.
        """
        previous, current, leaving = self.state.get("previous"), self.before, self.request["release"].get("digest")
        if current and leaving and current["digest"] != leaving:
            self.point_to(current["folder"], current)
            return
        if not previous:
            raise Failed("there is no previous release on this host")
        self.point_to(previous["folder"], previous)

    def prune(self):
        """Remove old releases, but never the current or the previous one."""
        current, previous = ((self.state.get(name) or {}).get("folder") for name in ("current", "previous"))
        there = [name for name in os.listdir(self.path("releases")) if not name.startswith(".")]
        there.sort(key=lambda name: os.stat(self.path("releases", name)).st_mtime, reverse=True)
        if self.check and "deploy" in self.request["verbs"] and self.folder() != current:  # as it will be by then
            current, previous = self.folder(), current
            there = [current, *(name for name in there if name != current)]
        kept = {current, previous}
        for name in [name for name in there if name not in kept][max(0, self.request["keep"] - len(kept & set(there))) :]:
            if not self.check:
                remove(self.path("releases", name))
            self.note(f"prune {name}")

    def facts(self):
        """Nothing to do: what is known is in every answer."""

    def deploy(self):
        """The whole step. A release that does not come up is taken back, when that is wished."""
        self.install()
        self.configure()
        self.switch()
        self.restart(always=False)
        try:
            self.first_probe()
        except Failed as failure:
            self.take_back(failure)
        self.prune()

    def first_probe(self):
        """A service that was left alone and does not answer gets one restart: somebody may have stopped it."""
        if self.restart_wanted or self.check or not self.request["probe"]:
            self.probe()
            return
        if self.look(self.request["probe"]) is not None:
            self.restart()
            self.probe()

    def take_back(self, failure):
        if self.request["on_failure"] != "revert" or not self.before or self.before["digest"] == self.request["release"]["digest"]:
            raise failure
        self.point_to(self.before["folder"], self.before)
        self.restart()
        raise Failed(f"{failure}; switched back to {self.before['version']}")

    # -- around them --------------------------------------------------------------------------------------------------

    def guard(self):
        """Refuse whoever comes with an older fence than the host has seen: somebody else has taken over since."""
        fence, seen = self.request["fence"], self.ledger.seen()
        if not 0 <= fence < 10**WIDTH:
            raise Failed(f"refused: fence {fence} has more than {WIDTH} digits")
        if fence and fence < seen:
            raise Failed(f"refused: fence {fence} is older than {seen}, which this host has seen")
        if fence and not self.check:
            self.ledger.claim(fence)

    def tidy(self):
        """Remove what was left half-written: who holds the lock knows that nobody is writing it."""
        places = [(".orchestrator", ".new-"), ("releases", ".incoming-"), (".", ".current-")]
        for file in self.request["config"]:
            places.append((os.path.dirname(os.path.join("releases", self.folder(), file["dest"])), ".new-"))
        for folder, beginning in places:
            for name in listed(self.path(folder)):
                if name.startswith(beginning):
                    path = self.path(folder, name)
                    if os.path.isdir(path) and not os.path.islink(path):
                        remove(path, ignore_errors=True)
                    else:
                        os.unlink(path)

    def entry(self, outcome):
        """One line of the ledger, with its fields in the order that the shell script writes too."""
        request = self.request
        return {
            **{name: request.get(name) or "" for name in ("run", "step", "host", "part")},
            "attempt": request.get("attempt") or 1,
            "fence": request["fence"],
            "digest": request["release"].get("digest", ""),
            "outcome": outcome,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }

    def work(self):
        """Do what is wanted, between two lines of the ledger when it is for a run; nothing that is done already."""
        verbs = self.request["verbs"]
        if self.check or not self.request["run"] or verbs == ["probe"]:
            return self.go(verbs)
        if not self.request["sent"] and {"install", "deploy"} & set(verbs) and not self.has_it():
            raise NeedData
        entries = self.ledger.entries()
        if self.done_before(entries):
            self.did.append("already done, by the ledger of the host")
            self.probe()
            self.ledger.append(self.entry("done"))
            return None
        self.restart_wanted = self.was_interrupted(entries)
        self.ledger.append(self.entry("began"))
        try:
            self.go(verbs)
        except BaseException:
            with contextlib.suppress(OSError):  # what went wrong first is what is told
                self.ledger.append(self.entry("failed"))
            raise
        self.ledger.append(self.entry("done"))
        return None

    def go(self, verbs):
        for verb in verbs:
            getattr(self, verb)()

    def was_interrupted(self, entries):
        """Whether this piece of work, or the last one here, broke off: then nobody knows what the service runs."""
        parts = [entry for entry in entries if entry.get("part")]
        last = [here[-1:] for here in (parts, [entry for entry in parts if entry["part"] == self.request.get("part")])]
        return any(entry.get("outcome") == "began" for found in last for entry in found)

    def done_before(self, entries):
        """Whether an earlier attempt has done this, or whoever acted before a fence rose.

        A playbook may do the same more than once: so it is counted.
        """
        mine = self.entry("done")
        same = [entry for entry in entries if all(entry.get(name) == mine[name] for name in ("run", "step", "host", "part", "outcome"))]
        attempts = [(entry.get("fence"), entry.get("attempt")) for entry in same]
        me = (mine["fence"], mine["attempt"])
        return attempts.count(me) < max([attempts.count(one) for one in attempts if one != me], default=0)

    def answer(self, **more):
        return {
            "changed": self.changed,
            "did": self.did,
            "diff": self.diffs,
            "orchestrator_release": self.state.get("current") or {},
            "previous": self.state.get("previous") or {},
            "installed": sorted(name for name in listed(self.path("releases")) if not name.startswith(".")),
            **more,
        }


class NeedData(Exception):
    """The artifact is needed and was not sent."""


def listed(path):
    try:
        return os.listdir(path)
    except OSError:
        return []


def started(pid):
    """When a process began, so that a number that was given again is not taken for it; None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return None if fields[0] == "Z" else fields[19]
    except OSError:
        pass
    if os.path.isdir("/proc/self"):
        return None
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], stdout=subprocess.PIPE, check=False).stdout.decode().strip()
    return found or None


def safe_name(name):
    parts = name.split("/")
    return not name.startswith("/") and ".." not in parts and "" not in parts and "\\" not in name and "\0" not in name


def unpack(packed, target, name, wanted=None):
    """Unpack a tar or zip archive, or put a single file into *target*. Without *wanted* what is an archive is unpacked."""
    import tarfile
    import zipfile

    try:
        if wanted is not False and tarfile.is_tarfile(packed):
            with tarfile.open(packed) as archive:
                lay(target, tar_members(archive))
        elif wanted is not False and zipfile.is_zipfile(packed):
            with zipfile.ZipFile(packed) as archive:
                lay(target, zip_members(archive))
        elif wanted:
            raise Failed(f"the artifact {name} is neither a tar nor a zip archive")
        else:
            with open(packed, "rb") as data:
                put(target, name, data, 0o644)
    except (tarfile.TarError, zipfile.BadZipFile, KeyError) as error:
        raise Failed(f"{type(error).__name__}: {error}") from error


def tar_members(archive):
    """Of each member of a tar archive: name, kind, mode, and its data or where it leads to."""
    for member in archive:
        if member.isdir():
            yield member.name, "folder", member.mode, None
        elif member.issym():
            yield member.name, "link", 0, member.linkname
        elif member.isreg() or member.islnk():
            with archive.extractfile(member) as data:
                yield member.name, "file", member.mode, data
        else:
            raise Failed(f"the artifact holds {member.name!r}, which is neither a file, a folder nor a link")


def zip_members(archive):
    """The same of a zip archive. One that was made without modes has the usual ones."""
    import stat

    for member in archive.infolist():
        mode = member.external_attr >> 16
        if member.is_dir():
            yield member.filename, "folder", mode or 0o755, None
        elif stat.S_ISLNK(mode):
            yield member.filename, "link", 0, archive.read(member).decode()
        else:
            with archive.open(member) as data:
                yield member.filename, "file", mode or 0o644, data


def lay(target, members):
    """Put the *members* of an archive into *target*. Links come last, so that nothing is written through one."""
    kinds, links, modes = {}, {}, {}
    for full, kind, mode, what in members:
        name = os.path.normpath(full) if safe_name(full.rstrip("/")) else full
        if name == "." and kind == "folder":
            continue
        note_member(kinds, name, kind)
        path = os.path.join(target, name)
        if kind == "folder":
            os.makedirs(path, mode=0o755, exist_ok=True)
            modes[path] = mode & 0o777 | 0o700
        elif kind == "link":
            links[name] = what
        else:
            put(target, name, what, mode & 0o777)
    for name, link in links.items():
        if not link or link.startswith("/") or leads_to(name, links) is None:
            raise Failed(f"the artifact holds the link {name!r}, which leads out of it: {link!r}")
        os.makedirs(os.path.dirname(os.path.join(target, name)), mode=0o755, exist_ok=True)
        os.symlink(link, os.path.join(target, name))
    for path in sorted(modes, reverse=True):
        os.chmod(path, modes[path])


def note_member(kinds, name, kind):
    """Refuse a name that leads elsewhere, stands there twice, or lies below what is not a folder."""
    if not safe_name(name) or name == ".":
        raise Failed(f"the artifact holds the name {name!r}, which leads elsewhere")
    parts = name.split("/")
    for count in range(1, len(parts)):
        if kinds.setdefault("/".join(parts[:count]), "folder") != "folder":
            raise Failed(f"the artifact holds {name!r} below something that is not a folder")
    if name in kinds and not kinds[name] == kind == "folder":
        raise Failed(f"the artifact holds the name {name!r} twice")
    kinds[name] = kind


def leads_to(name, links):
    """Where *name* leads to through *links*; None if that is outside, or a circle."""
    found, waiting, hops = [], name.split("/"), 0
    while waiting:
        part = waiting.pop(0)
        if part == "..":
            if not found:
                return None
            found.pop()
        elif part not in ("", "."):
            found.append(part)
            link = links.get("/".join(found))
            if link is not None:
                hops += 1
                if hops > 40 or link.startswith("/"):
                    return None
                found.pop()
                waiting = link.split("/") + waiting
    return "/".join(found) or "."


def put(target, name, data, mode):
    if not name or not safe_name(name):
        raise Failed(f"the artifact holds the name {name!r}, which leads elsewhere")
    path = os.path.join(target, name)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(handle, "wb") as file:
        for chunk in iter(lambda: data.read(1 << 20), b""):
            file.write(chunk)
        os.fchmod(file.fileno(), mode)


def ask(url):
    """The status and the text that *url* answers with, wherever it leads. Raises OSError and ValueError."""
    import http.client
    import urllib.error
    import urllib.request

    request = urllib.request.Request(url, headers={"User-Agent": "orchestrator"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as answer:
            return answer.status, answer.read(MOST_SAID).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read(MOST_SAID).decode("utf-8", "replace")
    except http.client.HTTPException as error:
        raise OSError(f"this is no HTTP: {error!r}")


def run(source):
    """Serve one request read from *source*; the answer as a dictionary."""
    request = json.loads(source.readline().decode())
    host = Host(request, source if request["sent"] else None)
    try:
        if host.check and not os.path.isdir(host.root):
            return host.answer(changed="install" in request["verbs"] or "deploy" in request["verbs"])
        if not request["reads_only"]:
            for name in ("releases", "shared", ".orchestrator"):
                os.makedirs(host.path(name), mode=0o755, exist_ok=True)
            with open(host.path(".orchestrator", "lock"), "w", encoding="ascii") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not host.check:
                    host.tidy()
                host.look_again()
                host.guard()
                host.work()
        return host.answer()
    except NeedData:
        return {"need": True}
    except Failed as failure:
        return host.answer(failed=True, msg=str(failure))
    except OSError as error:
        return host.answer(failed=True, msg=f"{type(error).__name__}: {error}")


def serve():
    """What the bootstrap calls on the host."""
    os.umask(0o022)
    print("\n@orchestrator@" + json.dumps(run(sys.stdin.buffer)), flush=True)
