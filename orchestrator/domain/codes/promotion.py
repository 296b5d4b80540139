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
        "None; `orchestrator promote` ends with 0. `--redeploy` promotes it again.",
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
        "R137",
        "there is no way back to be shown yet",
        "The promotion that is under way has no plan yet: it has touched nothing, and a failure would change nothing.",
        "Ask again in a moment; `orchestrator watch RUN` follows it.",
        Exit.NOT_FOUND,
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
        "R200",
        "a stateful resource would be replaced or deleted",
        "The update of the infrastructure would replace or delete resources that are stateful (by `pulumi.stateful` in "
        "`environment.yaml`) or that the program wants kept (`protect`, `retainOnDelete`). The message names each, and "
        "what would happen to it. Nothing was changed.",
        "When that is meant, say so by name: `orchestrator promote RELEASE --replace NAME`, or make the plan with "
        "`orchestrator plan RELEASE --to ENV --replace NAME`. What is lost so, no rollback brings back.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R201",
        "a point of no return was not named",
        "A step of the release declares `undo: impossible`. Once it has begun nothing goes back by itself, so a "
        "promotion needs it named. Nothing was changed.",
        "When that is meant, say so by name: `orchestrator promote RELEASE --point-of-no-return STEP`, or make the plan "
        "with `orchestrator plan RELEASE --to ENV --point-of-no-return STEP`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R202",
        "the infrastructure was left as it is",
        "To go back to the definition that was verified would replace or delete a stateful or protected resource, "
        "which no rollback does. The hosts went back; the infrastructure is the newer one.",
        "Decide what becomes of the resource. Then change the program so that it stays, and promote; or bring the "
        "infrastructure where you want it with `orchestrator environment up ENV --replace NAME`.",
        Exit.NEEDS_PERSON,
    ),
    ErrorCode(
        "R203",
        "it was rolled back there",
        "The environment has gone back from this very package (by digest), by itself or because somebody asked for it, "
        "and it has not gone well there since. Whatever waits in a queue or follows along the path is refused as well. "
        "Nothing was changed.",
        "Promote a corrected release. When the release was not to blame, say why: `orchestrator promote RELEASE --again "
        "-m WHY`; the journal keeps the reason.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R207",
        "kept for a look",
        "The promotion failed in an environment that was made for it, and `ephemeral: {keep_on_failure: true}` keeps "
        "what it made until its `ttl` is over.",
        "Look at it. `orchestrator environment reap ENV` destroys it sooner; afterwards a worker does, or the next "
        "`orchestrator environment reap`.",
        Exit.NEEDS_PERSON,
    ),
    ErrorCode(
        "R208",
        "an ephemeral environment was not destroyed",
        "The stack that was made for a promotion has a stateful or protected resource, and nothing destroys one of "
        "these by itself.",
        "Look at what is in it. `orchestrator environment destroy ENV --delete NAME` destroys it as a person's decision.",
        Exit.NEEDS_PERSON,
    ),
    ErrorCode(
        "R209",
        "what a former promotion made is still there",
        "The environment is made for each promotion. The stack of a former one was kept for a look, or could not be "
        "destroyed. Nothing was changed.",
        "`orchestrator environment reap ENV` destroys it now.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R204",
        "nothing is known of that time",
        "No release had been verified in the environment by then, or it had been destroyed, or the run that was named "
        "is another environment's or has not ended.",
        "`orchestrator history ENV` shows the runs there were, with their times.",
        Exit.NOT_FOUND,
    ),
    ErrorCode(
        "R205",
        "that was gone back from",
        "The release that ran then was rolled back since. To put an environment to an earlier time never goes forward "
        "again: what was gone back from is promoted, if at all.",
        "Promote it: `orchestrator promote RELEASE --to ENV`.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R206",
        "no such point of no return",
        "The step that was named is none of the release's steps, or can be undone.",
        "`orchestrator package show RELEASE` lists the steps; only one with `undo: impossible` is named so.",
        Exit.USAGE,
    ),
    ErrorCode(
        "R210",
        "the sides do not fit the hosts",
        "`blue` and `green` of a step with `strategy: blue_green` must together be all of its hosts, and share none. Here "
        "only one of them means any host, or a host is on both, or on neither. Nothing was done.",
        "Correct the host patterns, or the environment's groups: `orchestrator environment inventory ENV` lists them. Where "
        "neither side has a host, as in a small staging, the step goes out as `rolling`.",
        Exit.USAGE,
    ),
    ErrorCode(
        "R211",
        "nobody knows which side is live",
        "A switch from one side to the other was begun and did not end well, and neither did the way back. A release would "
        "go to the side that is not live, and that cannot be told. Nothing was done.",
        "`orchestrator rollback ENV` switches to the side that runs the last verified release, and proves it. When you know "
        "where the service leads, `orchestrator accept ENV --live SIDE -m WHY` says so.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R212",
        "a host has changed sides",
        "The release counts a host to another side than that on which it was when the environment was switched last. It "
        "would be deployed to while it is live, or be taken for live while it is not. Nothing was done.",
        "Keep each host on its side. To divide them anew, first promote a release without `blue_green` to all of them, then "
        "make the environment anew, or give the hosts other names.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R213",
        "a step would touch the live side",
        "A step without `strategy: blue_green` is for hosts of a side, of which one must stay as it is until the switch. "
        "Nothing was done.",
        "Let it be for other hosts, or give it `strategy: blue_green` with the same sides.",
        Exit.USAGE,
    ),
    ErrorCode(
        "R214",
        "there are no sides",
        "It was to be written down which side is live, and no release has divided this environment into sides yet.",
        "A release with `strategy: blue_green` does that with its first switch.",
        Exit.NOT_FOUND,
    ),
    ErrorCode(
        "R215",
        "the release has no sides, and the environment has",
        "`sides` of the environment's file make two stacks of it, of which one is live. A release without a step with "
        "`strategy: blue_green` would go to the hosts of both. Nothing was done.",
        "Give its steps `strategy: blue_green`, with `blue` and `green` as the host patterns of the sides.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R180",
        "nothing to compare with",
        "Drift is what has changed since the last release that was verified in the environment, and there was none yet.",
        "Promote a release there first.",
        Exit.NOT_FOUND,
    ),
    ErrorCode(
        "R181",
        "the environment has drifted",
        "`require: {no_drift: true}` of the environment wants it to be as its last release left it before another one is "
        "promoted there. The message names what has changed, or what could not be asked. Nothing was changed.",
        "`orchestrator drift ENV` says all of it. Put it right by promoting the release once more that is there: the rule "
        "does not stand in the way of that, nor of a rollback.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R182",
        "the environments differ",
        "`require: {parity: true}` of the environment wants it to be like the one that `parity: {with: ...}` names, by default "
        "the one before it, in all but their releases. The message names what differs and may not, or what could not be "
        "asked. Nothing was changed.",
        "`orchestrator parity ENV ENV` says all of it. Make them alike, or allow what is meant to differ with "
        "`parity: {allow: [...]}` in `environment.yaml`. A rollback is let in always.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R183",
        "it cannot be rehearsed",
        "A rehearsal begins with the last verified release on every host, goes to the new one, back, and forward again. The "
        "message says what is not so: there is no such release, it is the one that is to be rehearsed, some host runs "
        "another, or a step cannot be undone. Nothing was changed.",
        "Rehearse a release instead of promoting it there, or with `rehearse: true` in the file of the environment or of the "
        "release, which lets each promotion be a rehearsal. `orchestrator rollback ENV` goes to the release before.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R184",
        "the way back leaves something behind",
        "When the release before was back on the hosts, something there was not as it had been before, or could not be asked. "
        "The message names it; `orchestrator show RUN` lists all of it. The release was taken back.",
        "Let the older release's steps, or an `undo:` of the step, take away what the newer one brings; take away by hand what "
        "lies there now, and rehearse again. What changes by itself stands in `snapshot: {ignore: [...]}` of "
        "`environment.yaml`.",
    ),
    ErrorCode(
        "R185",
        "a snapshot is not here",
        "What was on the hosts at a stop of the rehearsal was kept under its digest in the state folder, and is not there any "
        "more, or is not what it was.",
        "Rehearse again. Where several machines work, let them share what they keep (`artifacts` in `orchestrator.yaml`).",
    ),
    ErrorCode(
        "R186",
        "a rehearsal is wanted",
        "`require: {rehearsal: true}` of the environment wants good evidence, from another environment, that the way from this "
        "package back to the one that is there was walked. There is none for exactly this pair, or it is not good. Nothing "
        "was changed.",
        "`orchestrator rehearse RELEASE --in ENV` in an environment that runs the same older package; `rehearse: true` in that "
        "environment's file does it with each promotion. A rollback is let in always.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R230",
        "an update would replace or delete something stateful",
        "`environment up` would replace or delete resources that are stateful (by `pulumi.stateful` in `environment.yaml`) or "
        "that the program wants kept (`protect`, `retainOnDelete`). The message names each, and what would happen to it. "
        "Nothing was changed.",
        "When that is meant, say so by name: `orchestrator environment up ENV --replace NAME`. What is lost so, nothing brings "
        "back.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R231",
        "something stateful would be destroyed",
        "`environment destroy` would delete resources that are stateful (by `pulumi.stateful` in `environment.yaml`) or that the "
        "program wants kept (`protect`, `retainOnDelete`). The message names each. Nothing was changed.",
        "When that is meant, say so by name: `orchestrator environment destroy ENV --delete NAME`. What Pulumi protects it "
        "refuses all the same: take `protect` off first, in an update of its own.",
        Exit.NOT_ALLOWED,
    ),
    ErrorCode(
        "R232",
        "the infrastructure cannot be walked forward again",
        "A rehearsal took the infrastructure back, and to bring it up to date again would replace or delete a stateful or "
        "protected resource, though it did not the first time. Nothing of the stack was touched by that; the release was "
        "taken back.",
        "`orchestrator show RUN` names the resource. Look at what the program does when it is applied a second time, then "
        "rehearse again.",
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
    ErrorCode(
        "R220",
        "the waves are not what was planned",
        "The plan was made for other waves, or under other rules (`soak`, `on_failure`, `max_failures`), than "
        "`orchestrator.yaml` has now; or the release has come to, or gone from, one of the environments since. Nothing was "
        "changed.",
        "Plan again: `orchestrator plan RELEASE --to WAVES`.",
        Exit.UNEXPECTED_CHANGES,
    ),
    ErrorCode(
        "R221",
        "later waves were held",
        "More environments of a walk failed than `max_failures` allows, or one needs a person. Those that failed have gone "
        "back by themselves, as far as that was possible; later waves were not begun. What earlier waves have promoted stays, "
        "or went back as well, as `on_failure` of the list of waves says.",
        "`orchestrator show ROOT` has each environment with its run. Correct the release, and promote it to the waves again: "
        "environments that have a release already are passed over.",
    ),
    ErrorCode(
        "R222",
        "an earlier wave did not go back",
        "`on_failure: rollback` wants what a walk has promoted to go back when a later wave fails. In an environment that was "
        "not possible: its rollback failed, a step of the release cannot be undone, automatic rollback is switched off, or "
        "there is no release to go back to. A rollback is not rolled back.",
        "`orchestrator show ROOT` says where and why. `orchestrator rollback ENV` goes back by hand; or leave it as it is.",
        Exit.NEEDS_PERSON,
    ),
)
