"""Codes D…: deploying with Ansible."""

from orchestrator.domain.errors import ErrorCode, Exit

CODES: tuple[ErrorCode, ...] = (
    ErrorCode(
        "D101",
        "a host pattern matches nothing",
        "A part of the pattern is neither a host nor a group of the environment's inventory.",
        "`orchestrator environment inventory ENV` shows hosts and groups.",
        Exit.USAGE,
    ),
    ErrorCode(
        "D102",
        "no host is left for a step",
        "The step's pattern, or the `hosts:` of its playbook, leaves no host to work on. A step that does nothing must not pass as done.",
        "Compare the step's `hosts`, the playbook's `hosts:` and the inventory's groups.",
        Exit.FAILED,
    ),
    ErrorCode(
        "D103",
        "not a command's name",
        "`requirements.commands` lists plain names of programs.",
        "Write names such as `python3`.",
        Exit.USAGE,
    ),
    ErrorCode(
        "D104",
        "the inventory files cannot be read",
        "`ansible-inventory` refused the environment's own inventory files.",
        "Its message is in the error; try `ansible-inventory --list -i FILE` by hand.",
        Exit.FAILED,
    ),
    ErrorCode(
        "D105",
        "a folder for connections is not ours",
        "Connections are kept in a folder that only its owner may enter, and a folder of that name belongs to somebody else.",
        "Remove the folder, or set `XDG_RUNTIME_DIR`.",
        Exit.FAILED,
    ),
    ErrorCode(
        "D106",
        "a host has not what the release requires",
        "`requirements:` of the release are looked at on every host before anything changes.",
        "The message says which host lacks what.",
        Exit.FAILED,
    ),
    ErrorCode(
        "D107",
        "a host cannot be reached",
        "Before anything changes every host is asked. One that does not answer is *unknown*, and unknown blocks.",
        "See that the host runs and that `ssh` reaches it; then promote again.",
        Exit.FAILED,
    ),
    ErrorCode(
        "D150",
        "invalid ansible.cfg",
        "An `ansible.cfg` that counts for the run is not a valid configuration file. Ansible refuses it too.",
        "Correct the file. `ansible-config dump` in its folder shows what Ansible reads.",
        Exit.USAGE,
    ),
    ErrorCode(
        "D151",
        "host inspection failed",
        "The inspection failed before any host was asked, for example because a vault password or an inventory plugin is missing. All hosts are *unknown*, and unknown blocks.",
        "The message has the reason. `ansible all -m ping` in the project shows the same; then promote again.",
        Exit.FAILED,
    ),
    ErrorCode(
        "D110",
        "a key of the release's data could be a template",
        "Values of a release are passed to Ansible as text that is never evaluated; keys cannot be marked so, and must not look like templates.",
        "Rename the key.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "D111",
        "a variable that a release may not set",
        "Names that begin with `ansible_` change how Ansible itself connects and works, and some names are our own.",
        "Set it in the environment's inventory or `environment.yaml` instead, or rename the variable.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "D120",
        "Ansible could not run the playbook",
        "Ansible stopped before it worked on hosts: a syntax error, a missing role or file, an undefined variable in the play itself.",
        "Its own message follows; `orchestrator logs RUN --step STEP` has all of it.",
        Exit.FAILED,
    ),
    ErrorCode(
        "D130",
        "Ansible did not come to an end",
        "The process was stopped by the step's time limit, by a person, or died. What was in flight on the hosts may have happened.",
        "The hosts that were touched are listed; their state is *unknown* until they are looked at.",
        Exit.TIMEOUT,
    ),
    ErrorCode(
        "D140",
        "a host refuses",
        "The host has seen a newer fence: somebody else has acted on it since, or the store that counts the fences was replaced by an older one. It refuses too where its ledger cannot be written. Nothing was done there after that.",
        "The message says which. See who holds the environment (`orchestrator status`). When the store was replaced for good, remove `fence` and `ledger.jsonl` in the host's ledger (docs/decisions/0008-ledger.md says where). `ansible: {ledger: false}` in `environment.yaml` does without, for ordinary playbooks.",
        Exit.FAILED,
    ),
)
