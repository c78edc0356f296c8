"""The course as nbgrader knows it: its folders, its gradebook, its assignments."""

import argparse
import logging
import os
import sys
import warnings
from pathlib import Path

from nbgrader.apps import NbGraderAPI
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


def done(result: dict, what: str) -> None:
    """Raise a RuntimeError if nbgrader says that it failed."""
    if not result["success"]:
        said = result.get("log") or result.get("error") or ""
        raise RuntimeError(f"nbgrader failed on {what}:\n{said.strip()[-3000:]}")


def release(folder: Path, names: list[str]) -> None:
    """Make the students' notebooks of these assignments, and enter them."""
    folder.mkdir(parents=True, exist_ok=True)
    api = NbGraderAPI(config=configuration(folder))
    for name in names:
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
