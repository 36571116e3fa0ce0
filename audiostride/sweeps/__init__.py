"""Many runs of a recipe from one command: seeds, settings and folds, each a run of its own in a process of its own."""
