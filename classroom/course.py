"""The course as nbgrader knows it: its folders, its gradebook, its assignments."""

import argparse
import logging
import os
import sys
import warnings
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import NbGraderAPI
from nbgrader.utils import is_grade, is_locked, is_solution
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

HERE = Path(__file__).parent
SOURCE = HERE / "source"


def configuration(folder: Path) -> Config:
    """nbgrader's configuration for a class that lives in a folder."""
    os.environ["CLASS_FOLDER"] = str(folder)
    # nbgrader calls the programs that were installed beside it by their names.
    own = str(Path(sys.executable).parent)
    if own not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = own + os.pathsep + os.environ["PATH"]
    return PyFileConfigLoader("nbgrader_config.py", str(HERE)).load_config()


def quiet() -> None:
    """Keep nbgrader from telling what it does; what fails is raised all the same."""
    logging.getLogger("traitlets").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", "Object of type", module="nbgrader")


def assignments() -> list[str]:
    return sorted(path.parent.name for path in SOURCE.glob("*/*.ipynb"))


class Changed(ValueError):
    """An assignment that has other cells than when it was first graded."""


def done(result: dict, what: str) -> None:
    """Raise a RuntimeError if nbgrader says that it failed."""
    if not result["success"]:
        if result.get("error", "").strip().endswith("KeyboardInterrupt"):
            raise KeyboardInterrupt  # nbgrader has caught it
        said = result.get("log") or result.get("error") or ""
        raise RuntimeError(f"nbgrader failed on {what}: {reason(said)}")


def reason(log: str) -> str:
    """The error that ends the last traceback of nbgrader's log, which is long."""
    last = log.rpartition("Traceback (most recent call last):")[2]
    lines = [line for line in last.splitlines() if line[:1].strip()]
    return lines[0] if lines else log.strip()[-300:]


def check_cells(folder: Path, name: str) -> None:
    """Raise Changed if the gradebook cannot take an assignment as it is now.

    nbgrader would delete what was released, and then fail.
    """
    cells = nbformat.read(SOURCE / name / f"{name}.ipynb", 4).cells
    kinds = (is_grade, is_solution, is_locked)
    ours = {
        cell.metadata.nbgrader.grade_id
        for cell in cells
        if any(kind(cell) for kind in kinds)
    }
    with Gradebook(f"sqlite:///{folder}/gradebook.db", "tokens-to-text") as gradebook:
        try:
            notebook = gradebook.find_notebook(name, name)
        except MissingEntry:
            return
        if not notebook.submissions:
            return
        known = {cell.name for cell in notebook.source_cells}
    if other := sorted(ours ^ known):
        raise Changed(
            f"{name} has gained or lost cells ({', '.join(other)}) since it was first "
            "graded: undo that, or start a new class folder with --class"
        )


def release(folder: Path, names: list[str]) -> None:
    """Make the students' notebooks of these assignments, and enter them.

    Raises:
        Changed: if one was graded already, and has other cells now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    api = NbGraderAPI(config=configuration(folder))
    for name in names:
        check_cells(folder, name)
        done(api.generate_assignment(name, force=True, create=True), name)


def parser(description: str) -> argparse.ArgumentParser:
    """A command's arguments: all of them know where the class lives."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument(
        "--class",
        dest="folder",
        type=lambda text: Path(text).resolve(),
        default=HERE.parent / "build" / "class",
        help="where the gradebook and all results are kept",
    )
    return made
