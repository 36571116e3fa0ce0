"""The `audiostride` command of the runtime: what needs no torch. In `audiostride-runtime` it stands in for `main`."""

from audiostride.cli import listen, predict, serve
from audiostride.cli.program import make_app, run_program

app = make_app("Hear what a model that audiostride has exported to ONNX hears, in recordings and live sound.")
app.command("predict")(predict.command)
app.command("listen")(listen.command)
app.command("serve")(serve.command)


def main() -> None:
    """Run the program."""
    run_program(app)


if __name__ == "__main__":
    main()
