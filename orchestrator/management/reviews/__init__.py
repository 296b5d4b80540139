"""Reviews of runs and planned releases, and the actions that follow from them."""
