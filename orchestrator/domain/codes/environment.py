"""Codes E…: environments, Pulumi and loopback hosts."""

from orchestrator.domain.errors import ErrorCode, Exit

CODES: tuple[ErrorCode, ...] = (
    ErrorCode(
        "E101",
        "no Pulumi engine",
        "Orchestrator runs the Pulumi engine, which no Python package contains. None was found that is new enough: not the one that was named, none on PATH, none in Pulumi's home, none in our cache.",
        "`orchestrator engine install` gets one; `ORCHESTRATOR_PULUMI=/path/to/pulumi` names one.",
        Exit.FAILED,
    ),
    ErrorCode(
        "E102",
        "no Pulumi project",
        "The environment's `program:` names a folder without a `Pulumi.yaml`.",
        "Correct `program:` in `environment.yaml`, or write `program: null` for an environment without infrastructure of its own.",
        Exit.USAGE,
    ),
    ErrorCode(
        "E103",
        "the engine could not be installed",
        "The build from source failed, or the vendor's archive cannot be used: it does not have the SHA-256 that was given, "
        "cannot be fetched, or has no engine.",
        "The message says why. Install Pulumi by hand, and put it on PATH or name it with `ORCHESTRATOR_PULUMI`.",
        Exit.FAILED,
    ),
    ErrorCode(
        "E104",
        "the program changed while it was read",
        "Somebody or something wrote to the environment's folder at that moment.",
        "Try again.",
        Exit.FAILED,
    ),
    ErrorCode(
        "E105",
        "the definition is not kept here",
        "The infrastructure should go back to an older definition, and that one's files are not in the state folder.",
        "Check the older program out from version control, and run `orchestrator environment up ENV`.",
        Exit.NEEDS_PERSON,
    ),
    ErrorCode(
        "E106",
        "the stack's configuration cannot be read",
        "`pulumi.config` is laid over `Pulumi.<stack>.yaml`, which is not YAML or not a mapping.",
        "Correct the file, as `pulumi config` writes it.",
        Exit.USAGE,
    ),
    ErrorCode(
        "E110",
        "Pulumi failed",
        "The engine, a provider or the program ended with an error, which the message begins with.",
        "The output of the run has all of it: `orchestrator logs RUN --step provision`.",
        Exit.FAILED,
    ),
    ErrorCode(
        "E111",
        "Pulumi did not come to an end",
        "The engine or what runs it was killed, or was stopped. What was in flight may have happened; the message says what was told as done, and what had begun.",
        "Run it again: what died is looked at first, stale locks are taken away, and what is really there is written into the state.",
        Exit.FAILED,
    ),
    ErrorCode(
        "E120",
        "the environment has no hosts",
        "Neither an output `ansible_inventory` or `inventory`, nor a mapping in `environment.yaml`, nor inventory files gave any host.",
        "Export such an output from the program, or write `inventory:` into `environment.yaml`.",
        Exit.FAILED,
    ),
    ErrorCode(
        "E121",
        "an inventory file is missing",
        "`inventory.files` names a file that is not in the project.",
        "Correct the path; it is relative to the project.",
        Exit.USAGE,
    ),
    ErrorCode(
        "E122",
        "the inventory cannot be read",
        "The output or mapping has not the shape of an Ansible inventory.",
        "Groups map to `hosts`, `children` and `vars`; the reference of `environment.yaml` has examples.",
        Exit.FAILED,
    ),
    ErrorCode(
        "E123",
        "not a host's or group's name",
        "Names end up in files and command lines. Hosts have letters, digits, dots, dashes and underscores; groups may also have `+`, `@`, `=` and `/`.",
        "Rename the host or group in the program.",
        Exit.FAILED,
    ),
    ErrorCode(
        "E124",
        "the inventory's template fails",
        "A template in `inventory.groups` refers to an output that is not there, or has a mistake.",
        "`orchestrator environment outputs ENV` shows the outputs.",
        Exit.FAILED,
    ),
    ErrorCode(
        "E130",
        "the stack is locked",
        "Another update of this stack is running, or one died and left its lock. A lock is taken away by itself only when its holder was an operation of ours on this machine and is proved dead; the message names the holder.",
        "Wait for it, or ask who runs it. When nobody updates the stack, `pulumi cancel` in the program's folder removes the lock.",
        Exit.BUSY,
    ),
    ErrorCode(
        "E131",
        "the update would not be the planned one",
        "Pulumi compared what it was about to do with the saved plan, and stopped.",
        "Somebody changed the infrastructure or the program's inputs since. Make a new plan.",
        Exit.UNEXPECTED_CHANGES,
    ),
    ErrorCode(
        "E132",
        "the passphrase is missing or wrong",
        "The stack's secrets are encrypted with a passphrase that was not given.",
        "Set `PULUMI_CONFIG_PASSPHRASE` or `PULUMI_CONFIG_PASSPHRASE_FILE`.",
        Exit.USAGE,
    ),
    ErrorCode(
        "E133",
        "the program's interpreter has no pip",
        "Pulumi's Python host asks the interpreter that runs the program for its packages by `python -m pip`.",
        "Install pip there (`python -m ensurepip`), or name another interpreter in `Pulumi.yaml` under "
        "`runtime.options.virtualenv`.",
    ),
    ErrorCode(
        "E134",
        "the backend wants a login",
        "The environment's stack is kept in a backend that nobody is logged in to here.",
        "Set `PULUMI_ACCESS_TOKEN`, or `PULUMI_BACKEND_URL` for a backend of your own, or run `pulumi login`.",
    ),
    ErrorCode(
        "E136",
        "nobody knows whether resources were made",
        "An operation died while it created them: they may exist, and the state does not have their ids. Creating them now could make them twice.",
        "Look at the provider. Then say of each whether it is there: `orchestrator environment resolve ENV --created URN=ID`, `--absent URN` or `--all-absent`. Where a create finds what is there already, `pulumi: {pending_creates: clear}` in `environment.yaml` does without asking.",
        Exit.NEEDS_PERSON,
    ),
    ErrorCode(
        "E137",
        "it cannot be resolved so",
        "The resource's create is not pending, or the state does not say what it was made from.",
        "`orchestrator environment preview ENV` lists what is pending. What the state does not know is brought in with `pulumi import`, and is then resolved as absent.",
        Exit.USAGE,
    ),
    ErrorCode(
        "E140",
        "Pulumi protects a resource",
        "The program has said `protect` of a resource that would be replaced or deleted now, and Pulumi refuses that.",
        "To keep it, correct the program. When it is meant to go, take `protect` off first, in an update of its own, "
        "or by `pulumi state unprotect URN` in the program's folder; naming it to a promotion is not enough.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "E141",
        "the stack is none that a promotion made",
        "The environment is `ephemeral`: its stack is made for a promotion, and destroyed after it. This one has "
        "resources already, which somebody else has made, and which no promotion destroys. Nothing was changed.",
        "Give the environment a `stack` of its own; or, when it is not needed, `orchestrator environment destroy ENV`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "E150",
        "a host is in both stacks",
        "`sides` of the environment's file make two stacks of it. Both programs' outputs have a host of the same name, and "
        "all that is known of hosts is known by their names.",
        "Let the program name hosts by its stack: `pulumi.get_stack()`.",
        Exit.USAGE,
    ),
    ErrorCode(
        "E151",
        "a group has other variables in each stack",
        "Both stacks of the environment have a group of this name, with other variables. A group has one set of them.",
        "Make them variables of the hosts, or of all: those of all hosts of a stack become those of its side.",
        Exit.USAGE,
    ),
    ErrorCode(
        "E152",
        "the release's sides are not the stacks'",
        "`sides` of the environment's file make two stacks of it, and the host patterns `blue` and `green` of the release mean "
        "hosts of the other stack, or none.",
        "In such an environment the groups `blue` and `green` are the hosts of each stack: write patterns within these.",
        Exit.USAGE,
    ),
    ErrorCode(
        "E160",
        "a gate's secret is not here",
        "A gate names the environment variable that holds its token or password (`token_from`, `password_from`). It is not set "
        "where the orchestrator runs, or is not plain text; or the gate is a release's, and `credentials` of `environment.yaml` does not "
        "name the variable with this server. Checked when the plan is made, before anything is changed.",
        "Set the variable for each process that plans and promotes, workers among them. A gate of a release may show a variable to the "
        "servers that `credentials` in `environment.yaml` names for it; a gate in `environment.yaml` may name any.",
        Exit.FAILED,
    ),
    ErrorCode(
        "E161",
        "a gate's certificates cannot be read",
        "The file that a gate names with `ca` is not there, or holds no certificates (PEM).",
        "For a gate of an environment the path counts from the project; for one of a release the file is packed with it.",
        Exit.FAILED,
    ),
    ErrorCode(
        "E201",
        "there is no sshd",
        "Loopback hosts are unprivileged SSH servers, and no `sshd` was found.",
        "`orchestrator hosts install` gets one: the distribution's package, or, without root, its files in the cache.",
        Exit.FAILED,
    ),
    ErrorCode(
        "E202",
        "sshd could not be installed",
        "Neither the package manager nor unpacking the package worked.",
        "Install OpenSSH's server with your system's package manager; it need not run.",
        Exit.FAILED,
    ),
    ErrorCode(
        "E203",
        "the host does not start",
        "The SSH server of a loopback host ended, or does not answer.",
        "The message has the end of its log.",
        Exit.FAILED,
    ),
    ErrorCode(
        "E204",
        "the address is taken",
        "Another program listens on the address and port of a loopback host.",
        "Choose another port or address in the program.",
        Exit.FAILED,
    ),
    ErrorCode(
        "E205",
        "not an address of a loopback host",
        "A loopback host is reached on this machine only: its address is in 127.0.0.0/8, its port between 1 and 65535.",
        "Leave `address` out, and it gets one of its own; or write one such as `127.1.2.3`.",
        Exit.USAGE,
    ),
)
