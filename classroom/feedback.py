"""Write a page for each student and assignment: ``python -m classroom.feedback``.

Run it when the answers in words have been read, too. The pages need no network.
"""

import sys

from nbgrader.apps import NbGraderAPI
from tqdm import tqdm

from . import wire
from .course import configuration, done, parser, quiet
from .report import rows


def main() -> None:
    args = parser("Write the feedback for students.").parse_args()
    graded = sorted((args.folder / "autograded").glob("*/*"))
    if not graded:
        sys.exit(f"classroom.feedback: nothing is graded in {args.folder}")
    quiet()
    api, failed = NbGraderAPI(config=configuration(args.folder)), []
    for path in tqdm(graded, "feedback", unit="page", disable=None):
        student, name = path.parts[-2:]
        try:
            result = api.generate_feedback(name, student, force=True)
            done(result, f"{student}, {name}")
        except Exception as error:  # it stops nobody else's
            failed.append(f"{student}, {name}: {wire.line(error)}")
    print(args.folder / "feedback")
    if unread := sum(row.open for row in rows(args.folder)):
        print(f"{unread} answers in words have still to be read: they count 0 points")
    if failed:
        sys.exit(f"classroom.feedback: not written: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
