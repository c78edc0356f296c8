"""The step of nbgrader's autograding that runs a notebook: here, in a sandbox.

The student's cells run in a process of their own (``sandbox.py``); the teacher's cells
that a test needs run here, beside the tests (``judge.py``), and there as well. A task
that fails is tried once more, with the cells of all other tasks left out: what another
task's cell has broken costs that task alone.
"""

import json
import re
from pathlib import Path

from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_output
from nbgrader import utils
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Bool, Float, List, Unicode

from . import sandbox, wire
from .judge import Judge
from .sandbox import Limits, Lost, Process

LOUD = 1_000_000  # characters; who prints more is named in the report
LARGE = 500_000  # characters of a picture
ALONE = "passes only without the cells of the other tasks"
STARTS = 12  # of a notebook's process; each takes seconds
MOST = 100  # notes about one notebook
EMPTY = "still empty"  # what the stub of an answer says
# Ready-made answers to many a task. They are there, and a teacher may want to look.
READY = re.compile(
    r"\b(scaled_dot_product_attention|MultiheadAttention|layer_norm|LayerNorm|rms_norm|"
    r"RMSNorm|tokenizers|transformers)\b"
)
ROOM = 10_000_000  # characters of all outputs of a notebook
FORMS = {"text/plain", "image/png"}  # HTML could run scripts in a teacher's browser


def grade_id(cell: NotebookNode) -> str:
    """The name that nbgrader knows a cell by; "" if it is a cell of the student's."""
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def task_of(cell: NotebookNode | str) -> str:
    """The task that a cell, or its name, belongs to: "t2" for t2 and t2-rows."""
    name = cell if isinstance(cell, str) else grade_id(cell)
    return name.split("-")[0]


def is_test(cell: NotebookNode) -> bool:
    return (
        cell.cell_type == "code"
        and utils.is_grade(cell)
        and not utils.is_solution(cell)
    )


def graded(cell: NotebookNode) -> bool:
    """Whether a cell is a student's answer, or a test of one."""
    return is_test(cell) or utils.is_solution(cell)


def untouched(cell: NotebookNode) -> bool:
    """Whether an answer is as the teacher handed it out."""
    return cell.metadata.nbgrader.get("checksum") == utils.compute_checksum(cell)


def passes(cell: NotebookNode) -> bool:
    return not any(o.output_type == "error" for o in cell.outputs)


class Run:
    """One pass over a notebook, or over one task of it."""

    def __init__(
        self, limits: Limits, absent: list[str], unsafe: bool, spent: float = 0.0
    ):
        self.arguments = limits, absent, unsafe
        self.incidents: list[dict] = []
        self.process, self.done, self.room = None, [], ROOM
        self.spent, self.starts = spent, 0

    def __enter__(self):
        self._start()
        return self

    def __exit__(self, *_):
        self.process.close()

    def _start(self) -> None:
        """A new process, in which the cells so far have run."""
        again, self.done = self.done, []
        self.starts += 1
        spent = self.process.spent if self.process else self.spent
        try:
            self.process = Process(*self.arguments, spent)
        except Lost:  # a busy machine
            self.process = Process(*self.arguments, spent)
        self.judge = Judge(self.process)
        for cell in again:
            self.cell(cell)

    def _run(self, cell: NotebookNode) -> None:
        """Run a cell that is no test."""
        if utils.is_locked(cell):
            self.judge.give(cell.source)
        else:
            for name in sorted({*READY.findall(cell.source)}):
                self._note(cell, f"names {name}: does the text allow it?")
        reply = self.process.run(cell.source)
        cell.outputs = self._fitting(cell, _outputs(reply))
        if reply.get("printed", 0) > LOUD:
            self._note(cell, f"printed {int(reply['printed']):,} characters")
        for name in reply.get("changed", [])[:10]:
            self._note(cell, f"replaced {wire.line(name, 80)}")
        error = sandbox.error_parts(reply.get("error", {}))
        if error["ename"] and error["evalue"] != EMPTY:
            text = wire.line(f"{error['ename']}: {error['evalue']}", 200)
            self._note(cell, f"its cell stopped with {text}")

    def _fitting(self, cell: NotebookNode, outputs: list) -> list[NotebookNode]:
        """The outputs, or none when those of the whole notebook are too many."""
        self.room -= sum(len(str(output)) for output in outputs)
        if self.room >= 0:
            return outputs
        self._note(cell, f"outputs beyond {ROOM:,} characters are left out")
        return []

    def cell(self, cell: NotebookNode) -> None:
        """Run a cell, and put its outputs into it."""
        try:
            if is_test(cell):
                cell.outputs = self.judge.run(cell.source)
                if self.process.why:  # the test has caught it, and failed
                    raise Lost(self.process.why)
            else:
                self._run(cell)
                self.done.append(cell)
        except Lost as lost:
            if not is_test(cell):
                cell.outputs = [
                    new_output("error", ename="Stopped", evalue=str(lost),
                               traceback=[f"This cell was stopped: {lost}."])
                ]  # fmt: skip
            self._note(cell, str(lost))
            self.process.close()
            # Else each cell that follows is lost, too.
            if self.process.exhausted:
                return
            if self.starts < STARTS:
                self._start()
            else:
                self._note(cell, f"ended {STARTS} times, and was not started again")

    def _note(self, cell: NotebookNode, what: str) -> None:
        found = {"task": task_of(cell) or "a cell of their own", "what": what}
        if found not in self.incidents and len(self.incidents) < MOST:
            self.incidents.append(found)


def _outputs(reply: dict) -> list[NotebookNode]:
    """What a student's cell gave, as outputs of a notebook. Nothing is trusted."""
    found = []
    for name in ("stdout", "stderr"):
        if text := wire.text(reply.get(name) or ""):
            found.append(new_output("stream", name=name, text=text))
    for kind, key in (("display_data", "shown"), ("execute_result", "result")):
        for data in (reply.get(key) or [])[:20]:
            kept = {
                form: wire.text(data[form], LARGE)
                for form in sorted(FORMS & {*data})
                if len(str(data[form])) <= LARGE  # half a picture is none
            }
            found.append(new_output(kind, kept))
    if error := reply.get("error"):
        parts = sandbox.error_parts(error)
        parts["traceback"] = [parts["traceback"]]
        found.append(new_output("error", **parts))
    return found


def run_notebook(
    nb: NotebookNode, limits: Limits, absent: list[str], unsafe: bool
) -> list[dict]:
    """Run all cells of nb, outputs into it. What happened: {"task": .., "what": ..}."""
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    with Run(limits, absent, unsafe) as run:
        for cell in code:
            cell.outputs = []
            run.cell(cell)
    return run.incidents


def try_alone(
    nb: NotebookNode, limits: Limits, absent: list[str], unsafe: bool
) -> list[dict]:
    """Run each task that failed once more, without the answers to all others.

    A check that passes then has failed because of another task's cell; it is told, as
    an answer could also have two values, and give the one or the other.
    """
    told = []
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    lost = {grade_id(c): task_of(c) for c in code if is_test(c) and not passes(c)}
    spent = 0.0  # by all of these runs together
    for task in dict.fromkeys(lost.values()):
        answers = [c for c in code if utils.is_solution(c) and task_of(c) == task]
        if all(map(untouched, answers)):
            continue
        alone = [NotebookNode(c) for c in code if task_of(c) == task or not graded(c)]
        with Run(limits, absent, unsafe, spent) as run:
            for cell in alone:
                run.cell(cell)
            spent = run.process.spent
        won = [c for c in alone if is_test(c) and passes(c)]
        passed = {grade_id(c): c.outputs for c in won if grade_id(c) in lost}
        if passed:
            told.append({"task": task, "what": ALONE})
        for cell in code:
            cell.outputs = passed.get(grade_id(cell), cell.outputs)
    return told


class SandboxedExecute(NbGraderPreprocessor):
    """Runs the notebook, and writes ``incidents.json`` beside it."""

    seconds = Float(30.0, help="a cell or a call may take so long").tag(config=True)
    absent = List(["llmcourse"], help="packages that are not there").tag(config=True)
    unsafe = Bool(False, help="without a sandbox").tag(config=True)
    incidents = Unicode("", help="where incidents are written").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources):
        sandbox.check(self.unsafe)  # nbgrader may have come here without `make grade`
        limits = Limits(seconds=self.seconds)
        found = run_notebook(nb, limits, self.absent, self.unsafe)
        found += try_alone(nb, limits, self.absent, self.unsafe)
        if self.incidents:
            Path(self.incidents).write_text(json.dumps(found), encoding="utf-8")
        return nb, resources
