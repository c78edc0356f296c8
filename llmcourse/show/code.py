"""Source code as a cell's output."""

import inspect

from IPython.display import Markdown


def source(*objects) -> Markdown:
    """The source code of functions or classes of the package, as a Markdown output."""
    code = "\n\n".join(inspect.getsource(o).rstrip() for o in objects)
    return Markdown(f"```python\n{code}\n```")
