"""`audiostride doctor`: what of this machine works, and how to mend the rest."""

import typer

from audiostride.cli.console import check_outputs, say, show, table, write_json
from audiostride.cli.options import JsonFile

EXAMPLES = """
audiostride doctor
audiostride doctor --json -
"""


def command(
    json_file: JsonFile = None,
) -> None:
    """Check whether this machine has what the program needs.

    It looks at versions, devices, codecs, extras and folders. The exit code is 1 if something needed is broken.
    """
    from audiostride.doctor import check_health

    check_outputs([("--json", json_file)])
    checks = list(check_health())
    broken = [check for check in checks if check.state == "broken"]
    if json_file != "-":
        for group in dict.fromkeys(check.group for check in checks):
            rows = table("", "", "", left=3)
            for check in checks:
                if check.group == group:
                    rows.add_row(check.name, check.state, check.found)
            rows.show_header = False
            show(group, rows)
    for check in checks:
        if check.fix is not None:
            say(f"{check.name}: {check.fix}")
    if json_file is not None:
        write_json(json_file, {"ok": not broken, "checks": [check.as_dict() for check in checks]})
    raise typer.Exit(1 if broken else 0)
