"""How long grading a class takes on this machine.

    python -m benchmarks.grading [--students N] [--seconds S] [--json FILE]

A class is made up and graded from end to end, as `make grade` does it: N students hand
in one notebook each, the assignments in turn. README.md says what they have answered.
Times are printed and never asserted; the exit status is 0 unless a whole solution does
not get all points, or an untouched copy gets any.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

import nbformat
from nbgrader import utils
from nbgrader.api import Gradebook

from classroom import course, grade
from classroom.execute import grade_id, task_of
from classroom.mistakes import rounds, source, tasks

# Out of twenty students.
KINDS = (
    ["whole"] * 8 + ["half"] * 4 + ["mistakes"] * 5 + ["untouched"] * 2 + ["endless"]
)


def answers(kind: str, name: str, turn: int) -> dict[str, str]:
    """{task: code} of one student; a task that is left out stays untouched."""
    cells = [c for c in source(name).cells if utils.is_solution(c)]
    right = {task_of(c): c.source for c in cells}
    order = tasks(name)
    if kind == "untouched":
        return {}
    if kind == "half":
        return {task: right[task] for task in order[: len(order) // 2]}
    if kind == "mistakes":
        made = list(rounds(name))
        return right | {t: m.code for t, (_, m) in made[turn % len(made)].items()}
    if kind == "endless":
        return right | {order[turn % len(order)]: "while True: pass"}
    return right


def hand_in(folder: Path, released: Path, students: int) -> dict[str, str]:
    """Write the submissions; {student: kind}."""
    given, dealt = {}, zip(range(students), cycle(KINDS), cycle(course.assignments()))
    for i, kind, name in dealt:
        nb = nbformat.read(released / name / f"{name}.ipynb", 4)
        code = answers(kind, name, i // len(KINDS))
        for cell in nb.cells:
            if utils.is_solution(cell):
                cell.source = code.get(grade_id(cell), cell.source)
        student = f"s{i:03}"
        path = folder / student / name / f"{name}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(nb, path)
        given[student] = kind
    return given


def wrong_grades(folder: Path, given: dict[str, str]) -> list[str]:
    """Students who did not get what their kind must get by tests alone."""
    found = []
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        for submission in (s for a in book.assignments for s in a.submissions):
            student, kind = submission.student.id, given[submission.student.id]
            checks = [g for n in submission.notebooks for g in n.grades
                      if g.cell.cell_type == "code"]  # fmt: skip
            got, most = sum(g.score for g in checks), sum(g.max_score for g in checks)
            if got != {"whole": most, "untouched": 0}.get(kind, got):
                found.append(f"{student}, {kind}: {got:g} of {most:g}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--students", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0, help="limit of a cell")
    parser.add_argument("--json", type=Path, help="every single time")
    args = parser.parse_args()
    course.quiet()
    with tempfile.TemporaryDirectory() as place:
        folder, handed_in = Path(place) / "class", Path(place) / "handed-in"
        course.release(folder, course.assignments())
        given = hand_in(handed_in, folder / "release", args.students)
        found, _ = grade.submissions(handed_in)
        seconds, start = {}, time.perf_counter()
        for submission, *_ in grade.grade_all(folder, found, args.seconds, False):
            now = time.perf_counter()
            seconds[submission.student], start = now - start, now
        again = time.perf_counter()
        unchanged = len(list(grade.grade_all(folder, found, args.seconds, False))) == 0
        again = time.perf_counter() - again
        wrong = wrong_grades(folder, given)
    print(f"{'answers':<10} {'n':>4} {'median s':>9} {'longest s':>9}")
    for kind in dict.fromkeys(KINDS):
        times = [seconds[s] for s, k in given.items() if k == kind]
        if times:
            middle, longest = statistics.median(times), max(times)
            print(f"{kind:<10} {len(times):4} {middle:9.1f} {longest:9.1f}")
    total = sum(seconds.values())
    print(f"in all {total / 60:.1f} min, {total / len(seconds):.1f} s a notebook")
    print(f"again, with nothing changed: {again:.1f} s")
    if args.json:
        args.json.write_text(json.dumps({"kinds": given, "seconds": seconds}))
    if wrong or not unchanged:
        sys.exit("\n".join([*wrong, *["a second run graded again"] * (not unchanged)]))


if __name__ == "__main__":
    main()
