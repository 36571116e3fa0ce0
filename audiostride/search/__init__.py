"""The search for settings of a recipe: trials, each a run, and Optuna to choose the next one."""
