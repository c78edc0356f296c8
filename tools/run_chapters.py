"""Execute the notebooks in place: the only way notebooks are run for a commit.

    python tools/run_chapters.py                 every chapter and every assignment
    python tools/run_chapters.py FILE.ipynb ...  only these
    python tools/run_chapters.py --check         write nothing, show what would change

Each notebook runs from top to bottom in a fresh kernel, in its own folder, on the CPU
with one thread. What is stored has no times, no addresses, no paths of this machine and
no editor's metadata, so a second run changes nothing. A file is replaced in one step,
and only when its content changes; a notebook with a failing cell is left as it was.
"""

import argparse
import atexit
import difflib
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 120  # seconds a cell, as in `make notebooks`

# Other metadata belongs to an editor or to one run.
KEPT_CELL_METADATA = {"tags", "mystnb", "jupyter", "nbgrader"}  # jupyter: folded cells
KEPT_NOTEBOOK_METADATA = {"mystnb"}
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "pygments_lexer": "ipython3"}

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "LLMCOURSE_DEVICE": "cpu",
    "HF_HUB_OFFLINE": "1",  # no chapter needs a network
}
# A widget is nothing without its kernel; the picture beside it is kept.
WIDGET = "application/vnd.jupyter.widget-view+json"
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")


# --- the stored form ------------------------------------------------------------------


def normalise(notebook: NotebookNode) -> NotebookNode:
    """A copy in the one stored form: without what differs between runs and editors."""
    notebook = nbformat.from_dict(notebook)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    kept = only(KEPT_NOTEBOOK_METADATA, notebook.metadata)
    notebook.metadata = {**kept, "kernelspec": KERNELSPEC, "language_info": LANGUAGE}
    ids: set[str] = set()
    for cell in notebook.cells:
        cell.metadata = only(KEPT_CELL_METADATA, cell.metadata)
        cell.source = cell.source.strip("\n")
        cell.id = stable_id(cell, ids)
        for output in cell.get("outputs", []):
            normalise_output(output)
    return nbformat.from_dict(notebook)


def only(keys: set[str], metadata: dict) -> dict:
    return {key: value for key, value in metadata.items() if key in keys}


def stable_id(cell: NotebookNode, taken: set[str]) -> str:
    """The cell's own id, or, where that is missing or taken, one from its source."""
    name, copy = cell.get("id"), 0
    while not name or name in taken:
        text = f"{cell.cell_type} {copy} {cell.source}"
        name = hashlib.sha256(text.encode()).hexdigest()[:8]
        copy += 1
    taken.add(name)
    return name


def normalise_output(output: NotebookNode) -> None:
    """Blank addresses, leave out widgets; of an error keep the last line alone, as the
    others name local files.
    """
    if output.output_type == "stream":
        output.text = blank(output.text)
    elif output.output_type == "error":
        output.evalue = blank(output.evalue)
        output.traceback = [f"{output.ename}: {output.evalue}"]
    else:
        output.metadata = {}
        output.data.pop(WIDGET, None)
        for mime, value in output.data.items():
            if mime.startswith("text/"):
                output.data[mime] = blank(value)


def blank(text: str) -> str:
    return ADDRESS.sub("at 0x0", text)


def read(text: str) -> NotebookNode:
    """A notebook of format 4, not yet validated: `normalise` adds missing cell ids."""
    try:
        return nbformat.v4.reads(text)
    except (AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"not a notebook of format 4: {error}") from None


def to_text(notebook: NotebookNode) -> str:
    """The content of the file: sorted keys, one newline at the end."""
    return nbformat.writes(notebook, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"


# --- executing ------------------------------------------------------------------------


class PrivateSockets:
    """For kernel managers: the kernel listens on files in a folder of its own.

    By default a manager looks for free ports, and the kernel takes them a second later:
    of two kernels that start at once, now and then one finds its port taken.
    """

    def __init__(self, **options):
        folder = tempfile.mkdtemp(prefix="kernel-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        super().__init__(transport="ipc", ip=f"{folder}/socket", **options)


class ThisPython(PrivateSockets, AsyncKernelManager):
    """Starts the Python that runs this script, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f"]
        return KernelSpec(argv=[*command, "{connection_file}"], **KERNELSPEC)


class CellFailed(Exception):
    """A cell raised an error without the tag raises-exception, or ran out of time."""

    def __init__(self, position: int, cell: NotebookNode, error: Exception):
        where = f"cell {position + 1} (id {cell.id}): {type(error).__name__}"
        super().__init__(f"{where}\n{error}")


def execute(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """A copy of `notebook` with the outputs of a fresh kernel started in `folder`."""
    notebook = nbformat.from_dict(notebook)
    position = 0

    def remember(cell, cell_index):
        nonlocal position
        position = cell_index

    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=False,
        kernel_manager_class=ThisPython,
        on_cell_start=remember,
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        client.execute()
    except Exception as error:
        raise CellFailed(position, notebook.cells[position], error) from error
    return notebook


def write_atomically(path: Path, text: str) -> None:
    """Replace the file in one step: an interrupted run leaves the old one whole."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(name, path.stat().st_mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


# --- the command ----------------------------------------------------------------------


def run(path: Path, check: bool) -> bool:
    """Execute one notebook; True if its file has changed (or would, with `check`)."""
    old = path.read_text(encoding="utf-8")
    notebook = normalise(read(old))
    new = to_text(normalise(execute(notebook, path.parent)))
    if new != old and check:
        lines = difflib.unified_diff(old.split("\n"), new.split("\n"), n=1, lineterm="")
        print("", *(line[:160] for line in list(lines)[:40]), sep="\n    ")
    elif new != old:
        write_atomically(path, new)
    return new != old


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="FILE.ipynb")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    every = [*ROOT.glob("chapters/*.ipynb"), *ROOT.glob("classroom/source/*/*.ipynb")]
    paths = options.notebooks or sorted(every)
    if missing := [str(path) for path in paths if not path.is_file()]:
        parser.error(f"no such notebook: {', '.join(missing)}")

    os.environ.update(ENVIRONMENT)
    changed, failed = 0, 0
    for number, path in enumerate(paths, 1):
        print(f"[{number}/{len(paths)}] {path.name}: ", end="", flush=True)
        start = time.perf_counter()
        try:
            differs = run(path, options.check)
        except (CellFailed, nbformat.ValidationError, ValueError) as error:
            failed += 1
            print(f"FAILED, the file is as it was\n{path}: {error}")
            continue
        changed += differs
        verdict = "would change" if options.check else "changed"
        seconds = time.perf_counter() - start
        print(f"{verdict if differs else 'unchanged'} ({seconds:.0f} s)")
    print(f"{len(paths)} notebooks: {changed} changed, {failed} failed")
    return 1 if failed or (options.check and changed) else 0


if __name__ == "__main__":
    sys.exit(main())
