"""Short code in running text stays on one line: `B = 1`, `(T, S)`, ` dog`.

A line may break inside longer code, else it would widen the page of a phone. CSS cannot
tell how long a text is, so that is said here; the rest is in ``_static/course.css``.
"""

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

LONGEST = 16  # characters; half a line of a phone


class ShortCode(SphinxPostTransform):
    """Give short inline code the class `short`."""

    default_priority = 400

    def run(self, **options) -> None:
        for code in self.document.findall(nodes.literal):
            if len(code.astext()) <= LONGEST:
                code["classes"].append("short")


def setup(app) -> dict:
    app.add_post_transform(ShortCode)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
