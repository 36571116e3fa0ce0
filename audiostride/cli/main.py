"""The `audiostride` command."""

from audiostride.cli import (
    bench,
    compare,
    crossval,
    doctor,
    evaluate,
    export,
    init,
    listen,
    predict,
    prepare,
    recipe,
    report,
    scan,
    search,
    serve,
    strides,
    thresholds,
    train,
)
from audiostride.cli.program import add_command, make_app, run_program

app = make_app("Train audio classifiers that learn their own strides, and read the strides as cut-off frequencies.")
add_command(app, "init", init.command, init.EXAMPLES)
add_command(app, "prepare", prepare.command, prepare.EXAMPLES)
add_command(app, "scan", scan.command, scan.EXAMPLES)
add_command(app, "recipe", recipe.command, recipe.EXAMPLES)
add_command(app, "train", train.command, train.EXAMPLES)
add_command(app, "crossval", crossval.command, crossval.EXAMPLES)
add_command(app, "search", search.command, search.EXAMPLES)
add_command(app, "eval", evaluate.command, evaluate.EXAMPLES)
add_command(app, "thresholds", thresholds.command, thresholds.EXAMPLES)
add_command(app, "predict", predict.command, predict.EXAMPLES)
add_command(app, "listen", listen.command, listen.EXAMPLES)
add_command(app, "compare", compare.command, compare.EXAMPLES)
add_command(app, "serve", serve.command, serve.EXAMPLES)
add_command(app, "strides", strides.command, strides.EXAMPLES)
add_command(app, "report", report.command, report.EXAMPLES)
add_command(app, "export", export.command, export.EXAMPLES)
add_command(app, "bench", bench.command, bench.EXAMPLES)
add_command(app, "doctor", doctor.command, doctor.EXAMPLES)


def main() -> None:
    """Run the program."""
    run_program(app)


if __name__ == "__main__":
    main()
