"""How the engine is run: its environment, its backend, and the stack's configuration. Never the user's own files."""

import json
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import unquote, urlparse

import yaml

from orchestrator.adapters import withheld
from orchestrator.adapters.pulumi import variables
from orchestrator.adapters.pulumi.definition import PROJECT_FILES
from orchestrator.adapters.pulumi.engine import Engine
from orchestrator.adapters.pulumi.runtimes import virtual_environment
from orchestrator.adapters.pulumi.workspace import SECRETS_LINE
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.plan import StackSpec

PASSED = {
    "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSH_AUTH_SOCK", "KUBECONFIG", "VAULT_ADDR",
    "VAULT_TOKEN", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "ORCHESTRATOR_SSHD", "XDG_CACHE_HOME",
}  # fmt: skip
PASSED_PREFIXES = ("AWS_", "AZURE_", "ARM_", "GOOGLE_", "GCLOUD_", "GCP_", "CLOUDSDK_", "DIGITALOCEAN_")
CLOUD = "https://api.pulumi.com"  # where an access token leads by default
PASSPHRASES = {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"}


def project_file(program: Path) -> dict[str, Any]:
    """The content of the program's `Pulumi.yaml`. Raises E102 when it is not a mapping."""
    for name in PROJECT_FILES:
        if (program / name).is_file():
            try:
                content = yaml.safe_load((program / name).read_text(encoding="utf-8"))
            except yaml.YAMLError as error:
                raise OrchestratorError("E102", f"{name} of {program} is not YAML: {error}") from error
            if isinstance(content, dict):
                return content
    raise OrchestratorError("E102", f"there is no readable Pulumi.yaml in {program}")


def config_file(spec: StackSpec, project: Mapping[str, Any], *, users: bool = False) -> str:
    """Where the stack's configuration lies, relative to the program; with *users*: where its user has written it."""
    stack = spec.configured if users and spec.configured else spec.stack
    name = f"Pulumi.{stack.rsplit('/', 1)[-1]}.yaml"
    return str(PurePath(str(project.get("stackConfigDir") or "."), name))


def config_text(spec: StackSpec, project: Mapping[str, Any], salt: Path) -> str:
    """The stack's configuration: the user's, with the environment's overrides and the salt that was kept for it.

    Raises E106.
    """
    file = Path(spec.program) / config_file(spec, project, users=True)
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if spec.settings.config:
        content = _mapping(file.name, text)
        named = {
            key if ":" in key else f"{project.get('name')}:{key}": value for key, value in spec.settings.config.items()
        }
        text = yaml.safe_dump({**content, "config": {**(content.get("config") or {}), **named}}, sort_keys=False)
    if salt.is_file() and not SECRETS_LINE.search(text):
        text = f"{salt.read_text(encoding='utf-8')}{text}"
    return text


def config_keys(spec: StackSpec, project: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of what the stack is configured with, sorted; the project's own without its name. Raises E106."""
    file = Path(spec.program) / config_file(spec, project)
    content = _mapping(file.name, file.read_text(encoding="utf-8") if file.is_file() else "")
    beginning = f"{project.get('name')}:"
    keys = [*(content.get("config") or {}), *spec.settings.config]
    return tuple(sorted({str(key).removeprefix(beginning) for key in keys}))


def has_backend(program: Path, environ: Mapping[str, str]) -> bool:
    """Whether the user has chosen a backend: by a variable, in the project's file, or by `pulumi login`."""
    if _backend(program, environ) or environ.get("PULUMI_ACCESS_TOKEN"):
        return True
    return bool(_credentials(environ).get("current"))


def backend_folder(env: Mapping[str, str]) -> str:
    """The folder in which the engine keeps stacks, by its environment *env*; empty for other backends."""
    url = urlparse(env.get("PULUMI_BACKEND_URL", ""))
    return unquote(url.path) if url.scheme == "file" and not url.netloc else ""


def _mapping(name: str, text: str) -> dict[str, Any]:
    """A stack's configuration as data. Raises E106."""
    try:
        content = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise OrchestratorError("E106", f"{name} is not YAML: {(str(error).splitlines() or ['?'])[0]}") from error
    if not isinstance(content, dict) or not isinstance(content.get("config") or {}, dict):
        raise OrchestratorError("E106", f"{name} is not a mapping with a mapping under `config`")
    return content


def _backend(program: Path, environ: Mapping[str, str]) -> str:
    """The address of the user's backend as it is written: in the variable, otherwise in the project's file."""
    named = project_file(program).get("backend")
    return environ.get("PULUMI_BACKEND_URL") or str((named.get("url") if isinstance(named, dict) else "") or "")


def _absolute(url: str, own: Path) -> str:
    """*url*, with the path of a file backend counted from the folder *own*, as Pulumi does it by hand."""
    path = url.removeprefix("file://")
    if path == url or path.startswith(("/", "~")):
        return url
    path, mark, query = path.partition("?")
    return f"file://{os.path.normpath(own / path)}{mark}{query}"


def missing_credential(spec: StackSpec, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The credential that the stack's secrets or its backend lack, and a remedy; None if nothing is missing.

    Only certain errors are reported. Raises E102.
    """
    program = Path(spec.program)
    url = _backend(program, environ) or _credentials(environ).get("current")
    url = str(url or (CLOUD if environ.get("PULUMI_ACCESS_TOKEN") else ""))
    if not url:  # ours, which brings its own passphrase
        return None
    if url.startswith(("https://", "http://")):
        logged_in = environ.get("PULUMI_ACCESS_TOKEN") or url in (_credentials(environ).get("accessTokens") or {})
        return None if logged_in else (f"no user is logged in to {url}", f"pulumi login {url}, or PULUMI_ACCESS_TOKEN")
    if "PULUMI_CONFIG_PASSPHRASE" in environ or _other_secrets(
        program / config_file(spec, project_file(program), users=True)
    ):
        return None
    named = environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if named is None:
        remedy = "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE, as for pulumi itself"
        return f"the passphrase of the stack {spec.stack} is not given", remedy
    if not Path(named).is_absolute() or Path(named).is_file():  # a relative one counts from the user's own folder
        return None
    return f"the stack's passphrase must be in {named}, which is not a file", "correct PULUMI_CONFIG_PASSPHRASE_FILE"


def _other_secrets(file: Path) -> bool:
    """Whether the stack's secrets have another provider than a passphrase."""
    try:
        provider = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("secretsprovider")
    except (OSError, yaml.YAMLError, AttributeError):
        return False
    return bool(provider) and provider not in {"passphrase", "default"}


def _credentials(environ: Mapping[str, str]) -> dict[str, Any]:
    """The credentials that `pulumi login` has stored; empty if they cannot be read."""
    home = Path(environ.get("PULUMI_HOME") or Path(environ.get("HOME", "/")) / ".pulumi")
    try:
        found = json.loads((home / "credentials.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def environment(spec: StackSpec, engine: Engine, environ: Mapping[str, str], state: Path, own: Path) -> dict[str, str]:
    """The whole environment of the engine: what is on the list, and the embedded backend when there is no other.

    A relative file backend or passphrase file counts from the user's *own* folder of the program, whichever copy of it
    the engine runs in.

    A Python program runs with the interpreter of the virtual environment that its `runtime.options` name; otherwise
    with ours, which is first on PATH, unless `PULUMI_PYTHON_CMD` names another. Raises E169.
    """
    declared = spec.settings.environment
    allowed = PASSED | {name for name in declared if not name.startswith(variables.PREFIX)}
    env = {name: value for name, value in environ.items() if name in allowed or name.startswith(PASSED_PREFIXES)}
    env |= variables.passed(environ, declared)
    path = [str(Path(sys.executable).parent), str(engine.path.parent), environ.get("PATH", os.defpath)]
    virtual = virtual_environment(project_file(Path(spec.program)), own)
    if virtual is not None:
        path.insert(0, str(virtual / "bin"))
        env |= {"PULUMI_PYTHON_CMD": str(virtual / "bin" / "python"), "VIRTUAL_ENV": str(virtual)}
    env |= {
        "PATH": os.pathsep.join(path),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_DEBUG_COMMANDS": "true",  # lets the engine write its event log, as the Automation API does
        "PYTHONDONTWRITEBYTECODE": "1",
        "ORCHESTRATOR_STATE": str(state.parent),
    }
    if env.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        env["PULUMI_CONFIG_PASSPHRASE_FILE"] = os.path.normpath(own / env["PULUMI_CONFIG_PASSPHRASE_FILE"])
    if url := _backend(Path(spec.program), environ):
        env["PULUMI_BACKEND_URL"] = _absolute(url, own)
    elif not has_backend(Path(spec.program), environ):
        env |= _embedded(state, environ)
    return env


def _embedded(state: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The backend in the project's own state folder, with a passphrase that only its owner can read."""
    backend, passphrase = state / "backend", state / "passphrase"
    backend.mkdir(parents=True, exist_ok=True, mode=0o700)
    env = {"PULUMI_BACKEND_URL": f"file://{backend}"}
    if not PASSPHRASES & set(environ):
        if not passphrase.exists() and any(item.name == withheld.PASSPHRASE for item in withheld.awaited(state.parent)):
            raise OrchestratorError("S193", f"the restored state lacks {passphrase}, the passphrase of its stacks")
        _write_once(passphrase, secrets.token_urlsafe(32))
        env["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(passphrase)
    return env


def _write_once(path: Path, text: str) -> None:
    """Put *text* into *path*, whole and readable by its owner only, unless the file exists."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        if not path.exists():
            os.link(temporary, path)
    except FileExistsError:
        pass  # another process was faster
    finally:
        temporary.unlink()
