"""The `audiostride` command of the runtime: what needs no torch. In `audiostride-runtime` it stands in for `main`."""

from audiostride.cli import listen, predict, serve
from audiostride.cli.program import add_command, make_app, run_program

app = make_app("Hear what a model that audiostride has exported to ONNX hears, in recordings and live sound.")
add_command(app, "predict", predict.command, predict.EXAMPLES)
add_command(app, "listen", listen.command, listen.EXAMPLES)
add_command(app, "serve", serve.command, serve.EXAMPLES)


def main() -> None:
    """Run the program."""
    run_program(app)


if __name__ == "__main__":
    main()
