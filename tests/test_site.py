"""The built site in a browser: every page, light and dark, on a desk and on a phone.

It is served from a folder of a loopback port, as GitHub Pages serves it. A request to
another address is recorded and refused: a page that passes works without a network.

Needs `make book` and a Chromium. Where there is none the tests are skipped with a
warning; REQUIRE_BROWSER=1 makes that a failure. At the end the checks are tested
themselves: a page with a defect must be reported.
"""

import functools
import http.server
import os
import posixpath
import re
import shutil
import threading
import warnings
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from playwright.sync_api import Page, sync_playwright

SITE = Path(__file__).resolve().parent.parent / "_build" / "html"
FOLDER = "/book/"  # where the server has the site: links must not count on being at /
WIDTHS = (1280, 375)
MODES = ("light", "dark")
PAGES = [
    page.relative_to(SITE).as_posix()
    for page in sorted(SITE.rglob("*.html"))
    if "_static" not in page.parts and page != SITE / "index.html"
]
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync""".split()

# Run inside a page. Each function returns a list of sentences, one for each defect.
CHECKS = (Path(__file__).parent / "site_checks.js").read_text(encoding="utf-8")


# --- a server and a browser -----------------------------------------------------------


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a directory under FOLDER and nothing elsewhere."""

    def translate_path(self, path: str) -> str:
        if not path.startswith(FOLDER):
            return "/nothing/here"
        return super().translate_path("/" + path.removeprefix(FOLDER))

    def log_message(self, *args) -> None:
        """Keep quiet."""


@contextmanager
def serve(directory: Path):
    """Yield the address under which a directory is served."""
    handler = functools.partial(Handler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{FOLDER}"
        server.shutdown()


def missing(what: str) -> None:
    """Skip and say so, or fail where a browser is required."""
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(what, pytrace=False)
    warnings.warn(f"THE SITE WAS NOT TESTED IN A BROWSER: {what}", stacklevel=2)
    pytest.skip(what)


@pytest.fixture(scope="module")
def browser():
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        missing(f"no Chromium found, looked for {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site():
    if not PAGES:
        missing("_build/html is missing or empty, run `make book`")
    with serve(SITE) as address:
        yield address


class Visit:
    """A page in a context of its own, with a record of everything that went wrong."""

    def __init__(self, browser, address: str, mode: str, width: int = WIDTHS[0]):
        self.problems: list[str] = []
        self.address, self.mode = address, mode
        self.context = browser.new_context(
            color_scheme=mode, viewport={"width": width, "height": 900}
        )
        self.context.route("**/*", self.watch)
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.note(f"page error: {error}"))
        self.page.on("console", self.console)
        self.page.on("response", self.response)

    def note(self, problem: str) -> None:
        self.problems.append(problem)

    def watch(self, route) -> None:
        if route.request.url.startswith(self.address):
            route.continue_()
        else:
            self.note(f"request to another address: {route.request.url}")
            route.abort()

    def console(self, message) -> None:
        if message.type == "error":
            self.note(f"console error: {message.text}")

    def response(self, response) -> None:
        if response.status >= 400:
            self.note(f"{response.status} for {response.url}")

    def open(self, name: str) -> None:
        self.page.goto(self.address + name)
        self.page.evaluate("window.MathJax?.startup?.promise")
        self.page.evaluate(CHECKS)

    def check(self, *names: str) -> None:
        """Run checks by name and note what they return."""
        width = self.page.viewport_size["width"]
        for name in names:
            for problem in self.page.evaluate(f"{name}()"):
                self.note(f"{self.mode}, {width} px: {problem}")

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        self.context.close()


def inspect(visit: Visit, name: str) -> list[str]:
    """Everything that is checked on a page, at all widths."""
    visit.open(name)
    visit.check("unfold", "pictures", "formulas", "contrast")
    for width in WIDTHS:
        visit.page.set_viewport_size({"width": width, "height": 900})
        visit.check("overflow")
    return visit.problems


# --- the site -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PAGES or ["(no pages)"])
def test_page(browser, site, name, mode):
    with Visit(browser, site, mode) as visit:
        problems = inspect(visit, name)
        if visit.page.evaluate("document.documentElement.dataset.theme") != mode:
            problems.append(f"the theme did not follow the system to {mode}")
    assert not problems, f"{name}:\n  " + "\n  ".join(problems)


def test_the_root_leads_to_the_first_page(browser, site):
    with Visit(browser, site, "light") as visit:
        visit.page.goto(site)
        visit.page.wait_for_url("**/chapters/index.html")
        assert not visit.problems


@pytest.mark.parametrize("word", ["attention", "mask"])
def test_search_works(browser, site, word):
    with Visit(browser, site, "light") as visit:
        visit.page.goto(f"{site}search.html?q={word}")
        visit.page.wait_for_selector("#search-results ul.search li a")
        links = visit.page.eval_on_selector_all(
            "#search-results ul.search li a", "links => links.map(link => link.href)"
        )
        assert links and not visit.problems
        for link in links:
            target = urlsplit(link).path.removeprefix(FOLDER)
            assert (SITE / target).is_file(), f"search for {word!r} leads to {link}"


def test_focus_can_be_seen(browser, site):
    """Whoever uses the keyboard sees where they are."""
    visible = """() => {
        const style = getComputedStyle(document.activeElement);
        return document.activeElement === document.body ||
            (style.outlineStyle !== "none" && style.outlineWidth !== "0px") ||
            style.boxShadow !== "none";
    }"""
    with Visit(browser, site, "dark") as visit:
        visit.open("chapters/index.html")
        for step in range(25):
            visit.page.keyboard.press("Tab")
            where = visit.page.evaluate("document.activeElement.outerHTML.slice(0, 99)")
            assert visit.page.evaluate(visible), f"Tab {step + 1}: {where}"


def test_paper_is_white(browser, site):
    """A page is printed in the light theme and then shown as before."""
    theme = "document.documentElement.dataset.theme"
    with Visit(browser, site, "dark") as visit:
        visit.open("chapters/index.html")
        visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert visit.page.evaluate(theme) == "light"
        visit.page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert visit.page.evaluate(theme) == "dark"


class Links(HTMLParser):
    """Collects what a page refers to, and the ids that others may refer to."""

    def __init__(self, text: str):
        super().__init__()
        self.targets, self.ids = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes) -> None:
        for key, value in attributes:
            if key in ("href", "src") and value:
                self.targets.append(value)
            if key in ("id", "name") and value:
                self.ids.add(value)


def dead_links(site: Path, pages: list[str]) -> list[str]:
    """References of pages to files or ids that are not there."""
    links = {page: Links((site / page).read_text(encoding="utf-8")) for page in pages}
    dead = []
    for page in pages:
        for target in links[page].targets:
            if re.match(r"[a-z]+:|//|#$", target):
                continue
            path, fragment = (unquote(part) for part in urldefrag(target))
            path = posixpath.join(posixpath.dirname(page), urlsplit(path).path)
            path = page if target[0] == "#" else posixpath.normpath(path)
            if not (site / path).exists():
                dead.append(f"{page}: {target}")
            elif fragment and path in links and fragment not in links[path].ids:
                dead.append(f"{page}: {target} (no such id)")
    return dead


def test_links_inside_the_site_resolve():
    if not PAGES:
        missing("_build/html is missing or empty, run `make book`")
    dead = dead_links(SITE, PAGES)
    assert not dead, "\n".join(dead)


# --- the checks themselves ------------------------------------------------------------

DOT = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
GOOD = f"""<p>Text.</p> <pre>code \\(x\\)</pre>
    <svg role="img" aria-label="A box"><rect width="9" height="9"/></svg>
    <div style="overflow-x: auto"><pre>{"x" * 400}</pre></div>
    <span class="math"><mjx-container>x</mjx-container></span>"""
BAD = {
    "request to another address": '<img alt="a" src="https://example.org/a.png">',
    "404": '<img alt="a" src="missing.png">',
    "page error": "<script>throw new Error('no')</script>",
    "console error": "<script>console.error('no')</script>",
    "overflow": '<div style="width: 400px; height: 1px">x</div>',
    "sticks out": '<div style="overflow: hidden"><p style="width: 600px">x</p></div>',
    "no text alternative: <svg": "<svg><rect width='9' height='9'/></svg>",
    "no text alternative: <img": f"<img src='{DOT}'>",
    "its file name": f"<img alt='a.gif' src='{DOT}'>",
    "not typeset": '<span class="math">\\(x\\)</span>',
    "raw formula": "<p>here \\(x^2\\) is</p>",
    "error in a formula": "<mjx-container><mjx-merror>x</mjx-merror></mjx-container>",
    "hard to read: x1": "<pre style='color: #999; background: #fff'>x1</pre>",
    "hard to read: x2": """<svg role="img" aria-label="a"><rect width="99" height="99"
        fill="#000"/><text x="20" y="40" fill="#333">x2</text></svg>""",
    "hard to read: x3": """<div class="toggle toggle-hidden">
        <pre style='color: #eee; background: #fff'>x3</pre></div>""",
}


@pytest.mark.parametrize("problem", [None, *BAD])
def test_a_defect_is_reported(browser, tmp_path, problem):
    body = GOOD if problem is None else BAD[problem]
    page = f"""<!doctype html><html lang=en><link rel=icon href=data:,><title>A</title>
        <style>.toggle-hidden {{ max-height: 0; visibility: hidden }}</style>
        <main><article class="bd-article">{body}</article></main>"""
    (tmp_path / "a.html").write_text(page, encoding="utf-8")
    with serve(tmp_path) as address, Visit(browser, address, "light") as visit:
        problems = inspect(visit, "a.html")
    if problem is None:
        assert not problems
    else:
        assert any(problem in line for line in problems), problems


def test_dead_links_are_reported(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html"> <a href="#x"> <a href="#ok">')
    (tmp_path / "c.html").write_text('<a href="a.html#no"> <p id="ok"><a href="#ok">')
    assert dead_links(tmp_path, ["a.html", "c.html"]) == [
        "a.html: b.html",
        "a.html: #x (no such id)",
        "a.html: #ok (no such id)",
        "c.html: a.html#no (no such id)",
    ]
