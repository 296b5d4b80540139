"""Which `PULUMI_*` variables of the controller reach the engine.

Credentials, places and what only changes how fast the engine works are passed on. Settings that decide which code or
which resources are involved are passed on as well, and the digest of the plan covers their values. It also covers those
of variables that `pulumi.environment` declares. Everything else is not passed on, and reported: above all
`PULUMI_OPTION_*`, by which the environment sets any option of the command line (`PULUMI_OPTION_TARGET`).
"""

from collections.abc import Iterable, Mapping

from orchestrator.domain.configuration import NOT_PASSED
from orchestrator.domain.model import digest_of

PREFIX = "PULUMI_"
ACCESS = {
    "ACCESS_TOKEN", "API", "BACKEND_URL", "CONFIG_PASSPHRASE", "CONFIG_PASSPHRASE_FILE", "CREDENTIALS_PATH",
    "CREDENTIAL_STORE", "DISABLE_SECRET_CACHE", "DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS", "DIY_BACKEND_GZIP",
    "DIY_BACKEND_IGNORE_DEPRECATION_ERROR", "DIY_BACKEND_NO_LEGACY_WARNING", "DIY_BACKEND_PARALLEL",
    "DIY_BACKEND_RETAIN_CHECKPOINTS", "DIY_BACKEND_ZSTD", "GITSSH_PASSPHRASE", "HOME", "JOURNALING_BATCH_PERIOD",
    "JOURNALING_BATCH_SIZE", "LOG_ROTATION_MAX_AGE_DAYS", "LOG_ROTATION_MAX_TOTAL_MB", "PARALLEL", "PARALLEL_ANALYZE",
    "PARALLEL_DIFF", "SKIP_UPDATE_CHECK",
}  # fmt: skip
"""Passed on, and not part of the plan. The plan has the versions of what lies in PULUMI_HOME, and the stack's state."""
SETTINGS = {
    "CONTINUE_ON_ERROR", "DEFAULT_ORGANIZATION", "DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "DISABLE_JOURNALING",
    "DISABLE_OUTPUT_VALUES", "DISABLE_PROVIDER_PREVIEW", "DISABLE_REGISTRY_RESOLVE", "DISABLE_RESOURCE_REFERENCES",
    "DISABLE_VALIDATION", "DIY_BACKEND_LEGACY_LAYOUT", "ENABLE_LEGACY_DIFF", "ENABLE_LEGACY_REFRESH_DIFF",
    "ERROR_ON_DEPENDENCY_CYCLES", "ERROR_OUTPUT_STRING", "EXPERIMENTAL", "FALLBACK_TO_STATE_SECRETS_MANAGER",
    "IGNORE_AMBIENT_PLUGINS", "NODEJS_TRANSPILE_ONLY", "NODEJS_TSCONFIG_PATH", "NODEJS_TYPESCRIPT_PATH",
    "PLUGIN_DOWNLOAD_URL_OVERRIDES", "PYTHON_CMD", "RUN_PROGRAM", "SELF_MANAGED_STATE_LEGACY_LAYOUT",
    "SKIP_CHECKPOINTS",
}  # fmt: skip
"""Passed on, and part of the plan."""
HIDDEN = {"PLUGIN_DOWNLOAD_URL_OVERRIDES"}  # may have a password in it
NEVER = ("PULUMI_OPTION_", "PULUMI_STACK")  # also where they are declared: the orchestrator names stack and options


def decides(environ: Mapping[str, str], declared: Iterable[str]) -> dict[str, str]:
    """The variables that are passed on and are part of the plan, each as the plan shows it."""
    names = {PREFIX + name for name in SETTINGS} | {name for name in declared if name.startswith(PREFIX)}
    found = sorted(name for name in names & environ.keys() if not name.startswith(NEVER) and not _is_access(name))
    return {name: environ[name] if _is_shown(name) else digest_of(environ[name]) for name in found}


def passed(environ: Mapping[str, str], declared: Iterable[str]) -> dict[str, str]:
    """The variables that reach the engine."""
    names = {name for name in environ if _is_access(name)} | decides(environ, declared).keys()
    return {name: environ[name] for name in sorted(names)}


def unused(environ: Mapping[str, str], declared: Iterable[str]) -> tuple[str, ...]:
    """The variables that are set and do not reach the engine, in a sentence each."""
    known = passed(environ, declared)
    return tuple(
        f"{name} is set here {NOT_PASSED}" for name in sorted(environ) if name.startswith(PREFIX) and name not in known
    )


def _is_access(name: str) -> bool:
    return name.startswith(PREFIX) and name.removeprefix(PREFIX) in ACCESS


def _is_shown(name: str) -> bool:
    return name.removeprefix(PREFIX) in SETTINGS - HIDDEN
