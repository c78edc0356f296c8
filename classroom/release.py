"""Make the notebooks for students: ``python -m classroom.release``.

Solutions and hidden tests are taken out of ``classroom/source``. What is made is for
handing out, and never edited.
"""

import sys

from .course import Changed, assignments, parser, quiet, release


def main() -> None:
    made = parser("Make the students' notebooks.")
    made.add_argument("names", nargs="*", help="ps2, for example; all without it")
    args = made.parse_args()
    if unknown := {*args.names} - {*assignments()}:
        sys.exit(f"classroom.release: no assignment {', '.join(sorted(unknown))}")
    quiet()
    names = args.names or assignments()
    try:
        release(args.folder, names)
    except Changed as error:
        sys.exit(f"classroom.release: {error}")
    for name in names:
        print(args.folder / "release" / name / f"{name}.ipynb")


if __name__ == "__main__":
    main()
