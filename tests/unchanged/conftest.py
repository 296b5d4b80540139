"""The projects of the corpus have tests of their own, which are not ours."""

collect_ignore = ["projects", "plugins"]
