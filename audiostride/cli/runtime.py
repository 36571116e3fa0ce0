"""The `audiostride` command of the runtime: what needs no torch. In `audiostride-runtime` it stands in for `main`."""

import re

import typer

from audiostride.cli import listen, predict, serve
from audiostride.cli.program import add_command, make_app, run_program
from audiostride.errors import UserError

OF_THE_WHOLE = (
    *("init", "prepare", "scan", "recipe", "train", "crossval", "search", "eval", "thresholds"),
    *("compare", "strides", "report", "export", "bench", "doctor"),
)
ANY_WORDS = {"ignore_unknown_options": True, "allow_extra_args": True}


def _refuse(context: typer.Context) -> None:
    """Say where a command of the whole package is to be had."""
    raise UserError(
        f"{context.info_name}: not part of audiostride-runtime; install the package audiostride in another environment"
    )


def _exported(examples: str) -> str:
    """Name exported models in place of runs."""
    return re.sub(r"\bruns/(\w+)", r"\1.onnx", examples)


app = make_app(
    "audiostride-runtime: hear what a model that audiostride has exported to ONNX hears, in recordings and live sound."
)
add_command(app, "predict", predict.command, _exported(predict.EXAMPLES))
add_command(app, "listen", listen.command, _exported(listen.EXAMPLES))
add_command(app, "serve", serve.command, _exported(serve.EXAMPLES))
for _name in OF_THE_WHOLE:
    app.command(_name, hidden=True, add_help_option=False, context_settings=ANY_WORDS)(_refuse)


def main() -> None:
    """Run the program."""
    run_program(app)


if __name__ == "__main__":
    main()
