"""A built site that makes no request to another host.

Jupyter Book loads MathJax from a CDN and puts Thebe's configuration on every page,
twice, which is a SyntaxError there. Neither can be turned off in _config.yml.
"""

from importlib.util import find_spec
from pathlib import Path

from sphinx.errors import ExtensionError
from sphinx.util.fileutil import copy_asset

# MathJax 3.2.2 comes out of this wheel. Of its 24 MB a page can only reach these:
# the program, what it loads on demand (rare macros, speech in English), its fonts.
WHEEL = "sphinx-mathjax-offline"
MATHJAX_FILES = (
    "tex-chtml.js",
    "a11y",
    "input/tex/extensions",
    "output/chtml/fonts",
    "sre/mathmaps/base.json",
    "sre/mathmaps/en.json",
)
NOTICE = """MathJax 3.2.2, copyright The MathJax Consortium, https://www.mathjax.org
Licensed under the Apache License, Version 2.0,
https://www.apache.org/licenses/LICENSE-2.0
"""


def mathjax_folder() -> Path:
    """Where the wheel keeps MathJax."""
    spec = find_spec(WHEEL)
    if spec is None:
        raise ExtensionError(f"{WHEEL} is missing: pip install -r requirements.txt")
    return Path(spec.origin).parent / "static" / "mathjax"


def copy_mathjax(app, error) -> None:
    """Put MathJax beside the built pages. It must not lie in the source _static/:
    Jupyter Book links every *.js found there on every page."""
    if error or app.builder.format != "html":
        return
    source, target = mathjax_folder(), Path(app.outdir) / "_static" / "mathjax"
    for name in MATHJAX_FILES:
        folder = name if (source / name).is_dir() else str(Path(name).parent)
        copy_asset(str(source / name), str(target / folder))
    (target / "NOTICE.txt").write_text(NOTICE, encoding="utf-8")


def disconnect_thebe(app, config) -> None:
    """Take out sphinx-thebe's listeners: the book does not use it."""
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            if listener.handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)


def drop_thebe_files(app, pagename, templatename, context, doctree) -> None:
    """sphinx-thebe registers its stylesheet when it is loaded, not in a listener."""
    context["css_files"] = [f for f in context["css_files"] if "thebe" not in str(f)]


def setup(app):
    app.connect("config-inited", disconnect_thebe)
    app.connect("html-page-context", drop_thebe_files)
    app.connect("build-finished", copy_mathjax)
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
