"""Grade a class: ``python -m classroom.grade submissions``.

``submissions`` holds ``student/ps2/ps2.ipynb`` for each student and assignment, as
nbgrader collects them. Each notebook is run in a sandbox, checked by the tests of
``classroom/source``, and entered into nbgrader's gradebook. A rerun grades only what
has changed; a run that was interrupted goes on where it stopped.
"""

import hashlib
import json
import re
import secrets
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbgrader.apps import NbGraderAPI
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    LimitOutput,
    SaveAutoGrades,
)
from nbgrader.utils import parse_utc
from tqdm import tqdm

from . import assemble, sandbox
from .course import (
    HERE,
    SOURCE,
    assignments,
    configuration,
    done,
    parser,
    quiet,
    release,
)
from .execute import SandboxedExecute

STUDENT = re.compile(r"[A-Za-z0-9][\w.@-]{0,80}")


class Submission(NamedTuple):
    student: str
    assignment: str
    path: Path


def submissions(folder: Path) -> tuple[list[Submission], list[str]]:
    """What was handed in for our assignments, and what is left out and why."""
    found, left_out = [], []
    for student in sorted(p for p in folder.iterdir() if p.is_dir()):
        if student.is_symlink() or not STUDENT.fullmatch(student.name):
            left_out.append(f"{student.name!r}: no name of a student")
            continue
        for name in assignments():
            path = student / name / f"{name}.ipynb"
            if path.parent.is_dir() and not path.parent.is_symlink():
                found.append(Submission(student.name, name, path))
    return found, left_out


def slips(submission: Submission) -> dict[str, str]:
    """When a notebook came in, and the secret name of its feedback.

    nbgrader's exchange puts both beside the notebook, and asks for them when feedback
    is released. What is missing or damaged is made up.
    """
    found = {}
    for name in ("timestamp.txt", "submission_secret.txt"):
        path = submission.path.with_name(name)
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1000:
            found[name] = path.read_text(encoding="utf-8", errors="replace").strip()
    try:
        parse_utc(found["timestamp.txt"])
    except (KeyError, ValueError, OverflowError):
        found["timestamp.txt"] = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f} UTC"
    return {"submission_secret.txt": secrets.token_hex(64)} | found


def fingerprint(submission: Submission, seconds: float) -> str:
    """What a grade depends on: the submission, the assignment, the grader."""
    known = hashlib.sha256(f"{seconds}".encode())
    ours = [SOURCE / submission.assignment / f"{submission.assignment}.ipynb"]
    for path in [*ours, *sorted(HERE.glob("*.py"))]:
        known.update(path.read_bytes())
    secret = submission.path.with_name("submission_secret.txt")
    for path in (submission.path, secret):
        if path.is_file() and path.stat().st_size <= assemble.LARGEST:
            known.update(path.read_bytes())
    return known.hexdigest()


def prepared(folder: Path, submission: Submission) -> list[str]:
    """Write the notebook to be graded; what was found in the submission."""
    name = submission.assignment
    source = nbformat.read(SOURCE / name / f"{name}.ipynb", 4)
    released = nbformat.read(folder / "release" / name / f"{name}.ipynb", 4)
    try:
        submitted, found = assemble.read_submission(submission.path), []
    except assemble.Unreadable as error:
        submitted, found = nbformat.v4.new_notebook(), [f"not read: {error}"]
    nb, more = assemble.assemble(source, released, submitted)
    place = folder / "assembled" / submission.student / name
    place.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, place / f"{name}.ipynb")
    for file, text in slips(submission).items():
        (place / file).write_text(text, encoding="utf-8")
    return found or more


def grade(
    folder: Path, submission: Submission, seconds: float = 30.0, unsafe: bool = False
) -> list[str]:
    """Grade one submission; what is to be told of it."""
    found = prepared(folder, submission)
    happened = folder / "incidents.json"
    config = configuration(folder)
    # What came in stays as it is, in "submitted" if nbgrader has collected it.
    config.CourseDirectory.submitted_directory = "assembled"
    config.Autograde.autograde_preprocessors = [
        SandboxedExecute,
        LimitOutput,
        SaveAutoGrades,
        AssignLatePenalties,
        CheckCellMetadata,
    ]
    config.SandboxedExecute.seconds = seconds
    config.SandboxedExecute.unsafe = unsafe
    config.SandboxedExecute.incidents = str(happened)
    api = NbGraderAPI(config=config)
    student, name = submission.student, submission.assignment
    done(api.autograde(name, student, force=True, create=True), f"{student}, {name}")
    for incident in json.loads(happened.read_text(encoding="utf-8")):
        found.append(f"{incident['task']}: {incident['what']}")
    happened.unlink()
    path = folder / "autograded" / student / name / f"{name}.ipynb"
    if found:
        nb = nbformat.read(path, 4)
        nb.cells.insert(0, assemble.note(found))
        path.chmod(0o644)
        nbformat.write(nb, path)
    return found


def grade_all(
    folder: Path, found: list[Submission], seconds: float, unsafe: bool
) -> Iterator[tuple[Submission, list[str]]]:
    """Grade what has changed since the last time."""
    state = folder / "state"
    for submission in tqdm(found, "grading", unit="notebook", disable=None):
        kept = state / submission.student / f"{submission.assignment}.json"
        key = fingerprint(submission, seconds)
        if kept.exists() and json.loads(kept.read_text())["key"] == key:
            continue
        told = grade(folder, submission, seconds, unsafe)
        kept.parent.mkdir(parents=True, exist_ok=True)
        new = kept.with_suffix(".new")
        new.write_text(json.dumps({"key": key, "told": told}), encoding="utf-8")
        new.replace(kept)  # all of it, or nothing
        yield submission, told


def main() -> None:
    made = parser("Grade a class.")
    made.add_argument("submissions", type=Path, help="student/ps2/ps2.ipynb in it")
    made.add_argument("--seconds", type=float, default=30.0, help="for each cell")
    made.add_argument("--unsafe", action="store_true", help="without a sandbox")
    args = made.parse_args()
    quiet()
    try:
        sandbox.check(args.unsafe)
    except sandbox.Refused as error:
        sys.exit(f"classroom.grade: {error}")
    if not args.submissions.is_dir():
        sys.exit(f"classroom.grade: {args.submissions} is no folder")
    found, left_out = submissions(args.submissions)
    release(args.folder, sorted({s.assignment for s in found}))
    graded = 0
    for submission, told in grade_all(args.folder, found, args.seconds, args.unsafe):
        graded += 1
        for line in told:
            tqdm.write(f"{submission.student}, {submission.assignment}: {line}")
    for line in left_out:
        print("left out:", line)
    unchanged = len(found) - graded
    print(f"{graded} graded, {unchanged} unchanged; results in {args.folder}")


if __name__ == "__main__":
    main()
