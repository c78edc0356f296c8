"""Write a page for each student and assignment: ``python -m classroom.feedback``.

Run it when the answers in words have been read, too. The pages need no network.
"""

import sys

from nbgrader.apps import NbGraderAPI
from tqdm import tqdm

from .course import configuration, done, parser, quiet


def main() -> None:
    args = parser("Write the feedback for students.").parse_args()
    graded = sorted((args.folder / "autograded").glob("*/*"))
    if not graded:
        sys.exit(f"classroom.feedback: nothing is graded in {args.folder}")
    quiet()
    api = NbGraderAPI(config=configuration(args.folder))
    for path in tqdm(graded, "feedback", unit="page", disable=None):
        student, name = path.parts[-2:]
        result = api.generate_feedback(name, student, force=True)
        done(result, f"{student}, {name}")
    print(args.folder / "feedback")


if __name__ == "__main__":
    main()
