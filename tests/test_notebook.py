"""The notebook of the documentation still runs, in a kernel of its own."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "docs/notebooks/demo.ipynb"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the packages that talk to the kernel
def test_every_cell_runs_and_the_model_learns(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    text = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    accuracy = float(text.split("family: accuracy ")[1].split()[0])
    assert accuracy > 0.5  # chance is 0.25
    assert "block 6: " in text


def test_the_outputs_that_are_kept_name_no_machine() -> None:
    assert not any(word in NOTEBOOK.read_text() for word in ("site-packages", "stderr"))
