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
    serve,
    strides,
    thresholds,
    train,
)
from audiostride.cli.program import make_app, run_program

app = make_app("Train audio classifiers that learn their own strides, and read the strides as cut-off frequencies.")
app.command("init")(init.command)
app.command("prepare")(prepare.command)
app.command("scan")(scan.command)
app.command("recipe")(recipe.command)
app.command("train")(train.command)
app.command("crossval")(crossval.command)
app.command("eval")(evaluate.command)
app.command("thresholds")(thresholds.command)
app.command("predict")(predict.command)
app.command("listen")(listen.command)
app.command("compare")(compare.command)
app.command("serve")(serve.command)
app.command("strides")(strides.command)
app.command("report")(report.command)
app.command("export")(export.command)
app.command("bench")(bench.command)
app.command("doctor")(doctor.command)


def main() -> None:
    """Run the program."""
    run_program(app)


if __name__ == "__main__":
    main()
