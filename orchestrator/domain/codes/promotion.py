"""Codes R…: plans, promotions and rollbacks."""

from orchestrator.domain.errors import ErrorCode, Exit

CODES: tuple[ErrorCode, ...] = (
    ErrorCode(
        "R101",
        "no such run",
        "No run in this project's journal has this id, or begins with it.",
        "`orchestrator history` lists the runs. A run's id may be shortened as long as only one begins so.",
        Exit.NOT_FOUND,
    ),
    ErrorCode(
        "R102",
        "ambiguous run",
        "More than one run begins with these characters.",
        "Write more of the id; `orchestrator history` lists them.",
        Exit.USAGE,
    ),
    ErrorCode(
        "R103",
        "no such environment",
        "The name is not that of an `environment.yaml` below the project's environments folder.",
        "`orchestrator environment list` shows the environments of this project.",
        Exit.NOT_FOUND,
    ),
    ErrorCode(
        "R104",
        "the release does not go there",
        "A release names the environments that it may go to in `environments:`, and this is none of them.",
        "Add the environment to `release.yaml`, raise the version and build the package again, or promote elsewhere.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R105",
        "not verified in the environment before",
        "The environment comes `after:` another one, and this very package (by digest) has not passed its tests there. "
        "A package that was built again is another package, even with the same version.",
        "Promote the release to the environment before first: `orchestrator promote RELEASE` walks the whole path.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R106",
        "no such release",
        "Neither a package file, nor a kept package, nor a folder below the project's releases folder has this name.",
        "`orchestrator build RELEASE` makes a package; `orchestrator matrix` shows the packages that are known.",
        Exit.NOT_FOUND,
    ),
    ErrorCode(
        "R107",
        "ambiguous release",
        "More than one known package fits this name. The same version may have been built with different contents.",
        "Name the version (`shop-1.4.0`), the package's file, or its digest.",
        Exit.USAGE,
    ),
    ErrorCode(
        "R108",
        "nothing to promote",
        "The release is already what runs, verified, in every environment that it declares.",
        "Name an environment with `--to` to promote it there again.",
    ),
    ErrorCode(
        "R110",
        "approvals are asked for",
        "The environment's file asks for approvals. This version reads and checks that rule, but has no way yet to "
        "collect approvals, and a rule that is written down and not kept would be worse than none.",
        "Take `approvals:` out of `environment.yaml`, or wait for the version that collects them.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R111",
        "windows are declared",
        "The environment's file declares windows. This version has no calendar yet, and refuses to promote as if the "
        "rule were not there.",
        "Take `windows:` out of `environment.yaml`, or wait for the version that keeps them.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R120",
        "the plan does not hold any more",
        "Between the making of the plan and its execution something that it stands on has changed. The message names "
        "it. Nothing was done.",
        "Look at what has changed, make a new plan with `orchestrator plan`, and promote with that one.",
        Exit.UNEXPECTED_CHANGES,
    ),
    ErrorCode(
        "R121",
        "no such plan",
        "No plan with this digest is kept in this project, and no file has this name.",
        "`orchestrator plan RELEASE --to ENV` makes one and prints its digest; `--out FILE` writes it into a file.",
        Exit.NOT_FOUND,
    ),
    ErrorCode(
        "R122",
        "the plan was changed",
        "The document is not the one that its digest stands for: somebody or something has edited it.",
        "Make a new plan with `orchestrator plan`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R123",
        "the hosts changed during the run",
        "A run is about the hosts that it settled on when it began. The environment's inventory now gives others.",
        "See who changed the environment (`orchestrator environment inventory ENV`), then promote again.",
        Exit.UNEXPECTED_CHANGES,
    ),
    ErrorCode(
        "R124",
        "the plan is for something else",
        "The plan that was given is for another release, package or environment than the one named.",
        "Give the plan that was made for this release and environment.",
        Exit.USAGE,
    ),
    ErrorCode(
        "R130",
        "automatic rollback is switched off",
        "`rollback: {automatic: false}` in the environment's file: a failure stops and asks for a person.",
        "`orchestrator rollback ENV` goes back to the last verified release.",
        Exit.NEEDS_PERSON,
    ),
    ErrorCode(
        "R131",
        "a point of no return was passed",
        "A step that declares `undo: impossible` was started. Going back could do more harm than standing still.",
        "Look at the hosts, then go forward with a corrected release, or back by hand.",
        Exit.NEEDS_PERSON,
    ),
    ErrorCode(
        "R132",
        "nothing to roll back to",
        "No release has ever been verified in this environment, so there is none to return to.",
        "Correct the release and promote it again. `orchestrator show RUN` lists the state of each host.",
        Exit.NEEDS_PERSON,
    ),
    ErrorCode(
        "R133",
        "the package to roll back to is not here",
        "The last verified release's package is missing from the store, or is not what it was.",
        "Put the sealed file back with `orchestrator package verify FILE --keep`, then `orchestrator rollback ENV`.",
        Exit.NEEDS_PERSON,
    ),
    ErrorCode(
        "R134",
        "no release to go back to",
        "A rollback was asked for, but no other release than the present one has been verified in this environment, "
        "or not the version that was named.",
        "`orchestrator history ENV` shows which releases were verified there.",
        Exit.NOT_FOUND,
    ),
    ErrorCode(
        "R135",
        "a rollback would leave something behind",
        "Steps of the release that is there now declare `undo: impossible`. Putting the older release back does not "
        "take away what they did. Nothing was done.",
        "Find out whether the older release can live with it. `orchestrator rollback ENV --no-return` goes back then.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R136",
        "the way back is closed",
        "The last verified release's package is missing from the store, or is not what it was. A failure could not be "
        "rolled back, so the promotion is refused before anything is changed.",
        "Put the sealed file back with `orchestrator package verify FILE --keep`. With `rollback: {automatic: false}` in "
        "`environment.yaml` there need be no way back.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R140",
        "the clean-up failed",
        "The release is in place and verified, but something that the run had opened could not be closed.",
        "Nothing is undone for that. The message says what was left behind; remove it by hand.",
        Exit.NEEDS_PERSON,
    ),
    ErrorCode(
        "R142",
        "nothing is told of that",
        "The run has no records of the step or host that was asked for.",
        "`orchestrator show RUN` lists the run's steps and hosts.",
        Exit.NOT_FOUND,
    ),
    ErrorCode(
        "R141",
        "nothing to resume",
        "The run has ended, or a process is working on it at this moment.",
        "`orchestrator watch RUN` follows a run; `orchestrator show RUN` shows one that has ended.",
    ),
    ErrorCode(
        "R150",
        "somebody stopped it",
        "A person cancelled or aborted the run. What it had changed was rolled back, or nothing had been changed yet.",
        "`orchestrator show RUN` says who, and what is true now. Promote again when you want it after all.",
    ),
    ErrorCode(
        "R151",
        "nothing to go on with",
        "Only the newest run of an environment, when it needs a person, can be gone on with from one of its steps.",
        "Promote again, or `orchestrator rollback ENV`.",
    ),
    ErrorCode(
        "R160",
        "nobody knows what runs on a host",
        "The journal has the host as *unknown*, and it did not answer when the plan was made. To go on would be to "
        "guess. Nothing was changed.",
        "See that the host can be reached: `orchestrator observe ENV` asks it again. If it never will be, decide by "
        "name: `orchestrator accept ENV HOST --release VERSION -m WHY`, or `--release none`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R161",
        "hosts could not be seen",
        "Some hosts did not answer, or answered and could not say which release they run, and nothing else is known "
        "of them. What the others said has been written down.",
        "`orchestrator logs RUN` has what was tried. See that the hosts can be reached, then `orchestrator observe "
        "ENV`; or decide by name with `orchestrator accept ENV HOST`.",
    ),
    ErrorCode(
        "R162",
        "the host is not unknown",
        "A person decides what runs on a host only while nobody can say it. What a host said itself is not overruled.",
        "`orchestrator observe ENV` asks the hosts; `orchestrator status ENV` shows what is known of each.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R170",
        "there is no canary",
        "The host pattern in `canary.hosts` means none of the step's hosts in this environment. Nothing was done.",
        "Write a pattern that means a host in every environment that the release goes to (`web[0]`), a count or a share.",
        Exit.USAGE,
    ),
    ErrorCode(
        "R171",
        "no canary is left",
        "The hosts that should go first have failed in a step before, which tolerated it. Without them nobody would be "
        "looked at before all the others follow.",
        "See what failed on them: `orchestrator show RUN`.",
        Exit.FAILED,
    ),
)
