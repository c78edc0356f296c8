"""Grade a class: ``python -m classroom.grade submissions``.

``submissions`` holds ``student/ps2/ps2.ipynb`` for each student and assignment, as
nbgrader collects them. Each notebook is run in a sandbox, checked by the tests of
``classroom/source``, and entered into nbgrader's gradebook. A rerun grades only what
has changed; a run that was interrupted goes on where it stopped.
"""

import hashlib
import json
import os
import re
import secrets
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import NbGraderAPI
from nbgrader.utils import is_solution, parse_utc
from tqdm import tqdm

from . import assemble, sandbox, wire
from .course import (
    HERE,
    SOURCE,
    Changed,
    assignments,
    configuration,
    done,
    parser,
    quiet,
    release,
)
from .execute import grade_id

STUDENT = re.compile(r"[A-Za-z0-9][\w.@-]{0,80}")
NO_NAME = (
    "no name of a student: it begins with a letter a-z or a digit, and has only "
    "letters, digits, _ . @ and -"
)
# What the grade of an unchanged submission depends on, beside its assignment.
GRADERS = ("assemble", "execute", "judge", "sandbox", "wire", "worker")


class Submission(NamedTuple):
    student: str
    assignment: str
    path: Path


def submissions(folder: Path) -> tuple[list[Submission], list[str]]:
    """What was handed in for our assignments, and what is left out and why."""
    found, left_out = [], []
    for student in sorted(p for p in folder.iterdir() if p.is_dir()):
        if student.is_symlink() or not STUDENT.fullmatch(student.name):
            left_out.append(f"{student.name!r}: {NO_NAME}")
            continue
        theirs = []
        for name in assignments():
            path = student / name / f"{name}.ipynb"
            # Not Path.is_dir: it raises an error where a student forbids to look.
            if os.path.isdir(path.parent) and not os.path.islink(path.parent):
                theirs.append(Submission(student.name, name, path))
                if not os.path.lexists(path):
                    left_out.append(f"{path}: not there; {_holds(path.parent)}")
        if not theirs:
            wanted = f"nothing at {student.name}/ps1/ps1.ipynb, or ps2/ps2.ipynb, .."
            left_out.append(f"{student.name}: {wanted}; {_holds(student)}")
        found += theirs
    return found, left_out


def _holds(folder: Path) -> str:
    """The first names in a folder, for who looks for a notebook in the wrong place."""
    try:
        names = [repr(name) for name in sorted(os.listdir(folder))[:5]]
    except OSError as error:
        return f"{folder.name} cannot be read ({error.strerror})"
    return f"{folder.name} holds {', '.join(names) or 'nothing'}"


def slips(submission: Submission) -> dict[str, str]:
    """When a notebook came in, and the secret name of its feedback.

    nbgrader's exchange puts both beside the notebook, and asks for them when feedback
    is released. A missing time is that of the file, a missing secret is made up.
    """
    found = {}
    for name in ("timestamp.txt", "submission_secret.txt"):
        path = submission.path.with_name(name)
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1000:
            found[name] = path.read_text(encoding="utf-8", errors="replace").strip()
    try:
        parse_utc(found["timestamp.txt"])
    except (KeyError, ValueError, OverflowError):
        found.pop("timestamp.txt", None)
        if submission.path.exists():
            came = datetime.fromtimestamp(submission.path.stat().st_mtime, UTC)
            found["timestamp.txt"] = f"{came:%Y-%m-%d %H:%M:%S.%f} UTC"
    return {"submission_secret.txt": secrets.token_hex(64)} | found


def fingerprint(submission: Submission, seconds: float) -> str:
    """What a grade depends on: the submission, the assignment, the grader."""
    known = hashlib.sha256(f"{seconds}".encode())
    ours = [SOURCE / submission.assignment / f"{submission.assignment}.ipynb"]
    for path in [*ours, *(HERE / f"{name}.py" for name in GRADERS)]:
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
    (place / "timestamp.txt").unlink(missing_ok=True)  # of an earlier submission
    nbformat.write(nb, place / f"{name}.ipynb")
    for file, text in slips(submission).items():
        (place / file).write_text(text, encoding="utf-8")
    return found or more


def texts(path: Path) -> dict[str, str]:
    """{id: text} of the answers in a notebook."""
    cells = nbformat.read(path, 4).cells if path.exists() else []
    return {grade_id(cell): cell.source for cell in cells if is_solution(cell)}


def read_by_hand(folder: Path, submission: Submission) -> set[str]:
    """The answers of a submission that a grader has read and given points to."""
    name = submission.assignment
    with Gradebook(f"sqlite:///{folder}/gradebook.db", "tokens-to-text") as gradebook:
        try:
            known = gradebook.find_submission(name, submission.student)
        except MissingEntry:
            return set()
        return {
            given.name
            for notebook in known.notebooks
            for given in notebook.grades
            if given.manual_score is not None and not given.needs_manual_grade
        }


def keep_read(folder: Path, submission: Submission, names: set[str]) -> None:
    """Take these answers off the list of those to be read; nbgrader puts them there."""
    name = submission.assignment
    with Gradebook(f"sqlite:///{folder}/gradebook.db", "tokens-to-text") as gradebook:
        for cell in names:
            given = gradebook.find_grade(cell, name, name, submission.student)
            given.needs_manual_grade = False
        gradebook.db.commit()


def grade(
    folder: Path, submission: Submission, seconds: float = 30.0, unsafe: bool = False
) -> list[str]:
    """Grade one submission; what is to be told of it."""
    student, name = submission.student, submission.assignment
    path = folder / "autograded" / student / name / f"{name}.ipynb"
    before, read = texts(path), read_by_hand(folder, submission)
    found = prepared(folder, submission)
    # Beside the notebook: two runs may grade at once.
    happened = folder / "assembled" / student / name / "incidents.json"
    rules = {"seconds": seconds, "unsafe": unsafe, "incidents": str(happened)}
    config = configuration(folder)
    config.SandboxedExecute.update(rules)
    # What came in stays as it is, in "submitted" if nbgrader has collected it.
    config.CourseDirectory.submitted_directory = "assembled"
    api = NbGraderAPI(config=config)
    done(api.autograde(name, student, force=True, create=True), f"{student}, {name}")
    for incident in json.loads(happened.read_text(encoding="utf-8")):
        found.append(f"{incident['task']}: {incident['what']}")
    happened.unlink()
    same = {cell for cell, text in texts(path).items() if before.get(cell) == text}
    keep_read(folder, submission, read & same)
    found = [wire.line(text) for text in found]
    if found:
        nb = nbformat.read(path, 4)
        nb.cells.insert(0, assemble.note(found))
        path.chmod(0o644)
        nbformat.write(nb, path)
    return found


def grade_all(
    folder: Path, found: list[Submission], seconds: float, unsafe: bool
) -> Iterator[tuple[Submission, list[str], bool]]:
    """Grade what has changed since the last time; what is told, whether it worked.

    What cannot be graded is left for the next run, and stops nobody else.
    """
    state = folder / "state"
    for submission in tqdm(found, "grading", unit="notebook", disable=None):
        kept = state / submission.student / f"{submission.assignment}.json"
        try:
            key = fingerprint(submission, seconds)
            if kept.exists() and json.loads(kept.read_text())["key"] == key:
                continue
            told = grade(folder, submission, seconds, unsafe)
        except Exception as error:
            kept.unlink(missing_ok=True)
            why = wire.line(f"{type(error).__name__}: {error}")
            yield submission, [f"not graded: {why}"], False
            continue
        kept.parent.mkdir(parents=True, exist_ok=True)
        new = kept.with_suffix(".new")
        new.write_text(json.dumps({"key": key, "told": told}), encoding="utf-8")
        new.replace(kept)  # all of it, or nothing
        yield submission, told, True


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
    try:
        release(args.folder, sorted({s.assignment for s in found}))
    except Changed as error:
        sys.exit(f"classroom.grade: {error}")
    graded, failed = 0, []
    results = grade_all(args.folder, found, args.seconds, args.unsafe)
    try:
        for one, told, worked in results:
            graded += worked
            failed += [] if worked else [f"{one.student}, {one.assignment}"]
            for text in told:
                tqdm.write(f"{one.student}, {one.assignment}: {text}")
    except KeyboardInterrupt:
        sys.exit(
            f"classroom.grade: interrupted, {graded} graded; run it again to go on"
        )
    for text in left_out:
        print("left out:", wire.line(text))
    unchanged = len(found) - graded - len(failed)
    print(f"{graded} graded, {unchanged} unchanged; results in {args.folder}")
    if failed:
        sys.exit(f"classroom.grade: not graded: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
