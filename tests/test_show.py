"""Pictures say in words what they show; controls compute anew."""

import re

import pytest
import torch
from ipywidgets import Dropdown, IntSlider

from llmcourse import show

WIDGET = "application/vnd.jupyter.widget-view+json"


def draw(row: int, name: str = "a"):
    values = torch.eye(3)[row : row + 1]
    return show.heatmap(values, [name], ["x", "y", "z"], caption=f"Row {row}.")


def test_a_control_begins_with_the_first_values_and_follows_the_widgets():
    control = show.control(draw, row=IntSlider(value=1, max=2))
    assert control.picture.alt == "Row 1. Largest in each row: a looks most at y"
    before = control.view.value
    control.widgets["row"].value = 2
    assert control.picture.alt.endswith("looks most at z")
    assert control.view.value == control.picture._repr_html_() != before


def test_a_control_passes_every_value():
    names = Dropdown(options=["dog", "狗"], value="dog")
    control = show.control(draw, row=IntSlider(value=0, max=2), name=names)
    names.value = "狗"
    assert "狗 looks most at x" in control.picture.alt


def test_a_control_is_shown_as_widgets_and_stored_as_a_picture():
    control = show.control(draw, row=IntSlider(value=1, max=2))
    bundle = control._repr_mimebundle_()
    assert bundle[WIDGET]["model_id"] == control.box.model_id
    assert bundle["text/html"] == control.picture._repr_html_()
    assert bundle["text/plain"] == "<picture: Row 1.>"


def test_a_control_without_widgets_is_refused():
    with pytest.raises(ValueError, match="at least 1 widget, got 0"):
        show.control(draw)


def test_a_heatmap_of_another_size_than_its_labels_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\) values for 2 rows, 2 columns"):
        show.heatmap(torch.ones(2, 3), ["a", "b"], ["c", "d"], caption="No.")


def test_words_in_a_picture_are_escaped():
    picture = show.heatmap(torch.ones(1, 1), ["<b>"], ["&"], caption='A "quote" <i>.')
    html = picture._repr_html_()
    assert "<b>" not in html and "<i>" not in html
    assert re.search(r'aria-label="A &quot;quote&quot; &lt;i&gt;', html)


REFUSED = {
    "heads of no panel": (lambda: show.sharing({"a": []}, "c"), "at least 1 head"),
    "a lane of nowhere": (lambda: show.flow([("q", "x"), ("kv", "y")], "c"), "'q'"),
    "five parts": (lambda: show.parts([], {}, "c", count=5), "1 to 4 in number, got 5"),
    "an unknown cut": (
        lambda: show.parts([[("a", "T", "K", "slices")]], {"T": 1, "K": 1}, "c"),
        "'a' is cut by .* got 'slices'",
    ),
    "maps of one head": (
        lambda: show.gallery(torch.ones(3, 3), "c"),
        r"\(layers, heads, T, S\), got \(3, 3\)",
    ),
    "a label too few": (
        lambda: show.tokens(["a", "b"], "c", below=[1]),
        "1 labels for 2 pieces",
    ),
    "rows of two lengths": (
        lambda: show.tiers([("a", [("x", 2)]), ("b", [("y", 3)])], "c"),
        r"got \[2, 3\]",
    ),
    "a dial too few": (
        lambda: show.dials({"a": [[0.0]]}, ["x", "y"], "c"),
        "'a' needs 2 dials of 1 hands, got",
    ),
    "a number alone": (
        lambda: show.partners({"a": [0, 0, 1]}, "c"),
        r"each pair occurs twice, got \[0, 0, 1\]",
    ),
    "names for other columns": (
        lambda: show.strips(torch.ones(1, 3), ["a"], "c", columns=["x"]),
        "3 columns with 1 names",
    ),
    "a bar without a name": (
        lambda: show.bars([1.0, 2.0], ["a"], "c"),
        "2 values for 1",
    ),
    "no points": (lambda: show.plane({}, "x", "y", "c"), "1 to 4 groups"),
    "an empty branch": (lambda: show.blocks({"a": ["x", ()]}, "c"), "at least 1 part"),
    "no steps": (lambda: show.stack([], {"T": 1}, "c"), "a step is"),
    "an edge without a size": (
        lambda: show.stack([("embed", "x", "T", "D")], {"T": 2}, "c"),
        "edge 'D' has no size",
    ),
    "rows of other parts": (
        lambda: show.shares({"a": {"x": 1.0}, "b": {"y": 1.0}}, "c"),
        "row 'b' needs",
    ),
    "five shares": (
        lambda: show.shares({"a": dict.fromkeys("abcde", 1.0)}, "c"),
        "1 to 4 parts",
    ),
    "values for other rows": (
        lambda: show.chances(["a"], {"p": [0.5, 0.5]}, "c"),
        "'p' has 2 values for 1 rows",
    ),
    "no rows": (lambda: show.chances([], {}, "c"), "0 rows and 0 columns"),
    "shares of more than all": (
        lambda: show.ruler(["a", "b"], [0.5, 0.6], [0.1], "c"),
        "which sum to 1.100",
    ),
    "a branch of nothing": (
        lambda: show.tree([[("a", 0, 0.5, True)], [("b", 1, 0.2, True)]], "c"),
        "continue one of 1",
    ),
    "a part without a text": (lambda: show.prompt([("a", "")], "c"), "each part has"),
    "an unknown sign": (
        lambda: show.ledger([("a", "?")], ["x"], {"+": ("blue", "new")}, "c"),
        "row 'a' has signs '\\?'",
    ),
    "weights of other pieces": (
        lambda: show.attending(torch.ones(1, 3), ["a"], "c"),
        r"weights \(1, 3\) do not fit 1 pieces",
    ),
    "a box of no kind": (
        lambda: show.appended([[("K", "S", "K", "old")]], {"S": 2, "K": 2}, "c"),
        "box 'K' is one of",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused(case):
    make, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        make()


SAID = {
    "Query heads 0, 1 of K/V head 0": (
        show.sharing({"GQA": [0, 0, 1, 1]}, "c"),
        "GQA, query heads of K/V head 0: 0, 1; of K/V head 1: 2, 3",
    ),
    "where a step comes from": (
        show.flow([("qk", "x"), ("q", "W_Q"), ("qk", "scores")], "c"),
        "scores, from x and W_Q",
    ),
    "a box and its cut": (
        show.parts([[("x", "T", "D", "columns")]], {"T": 2, "D": 4}, "c"),
        "x (T by D, cut into columns)",
    ),
    "a marked head": (
        show.gallery(torch.ones(1, 2, 3, 3), "c", marked={(0, 1): "first"}),
        "layer 0, head 1: first",
    ),
    "pieces with their ids": (
        show.tokens(["a", " cup"], "c", below=[5, 7]),
        "2 pieces: 'a' 5, ' cup' 7",
    ),
    "cuts of a text": (
        show.tiers([("bytes", [("61", 1), ("62", 1)]), ("tokens", [("ab", 2)])], "c"),
        "bytes: '61' '62'; tokens: 'ab'",
    ),
    "degrees": (show.dials({"p": [[torch.pi / 2]]}, ["x"], "c"), "p x 90"),
    "who pairs with whom": (
        show.partners({"half": [0, 1, 0, 1]}, "c"),
        "half: 0 with 2, 1 with 3",
    ),
    "numbers with their signs": (
        show.strips(torch.tensor([[1.0, -2.0]]), ["a"], "c", decimals=1),
        "Blue is above zero, orange below",
    ),
    "bars with their numbers": (show.bars([0.5, 2.0], ["a", "b"], "c"), "2.0"),
    "a point between the ends": (
        show.curves([1, 2000, 3, 4], {"a": [1, 5, -2.5, 2]}, "x", "y", "c"),
        "x against y: a goes from 1 to 2, highest 5 at 2,000, lowest -2.5 at 3.",
    ),
    "the middle of a line that only rises": (
        show.curves([0.5, 1.25, 2], {"a": [1, 1, 9], "b": [3, 3, 3]}, "x", "y", "c"),
        "a goes from 1 to 9, 1 at 1.25; b goes from 3 to 3.",
    ),
    "a branch of the stream": (
        show.blocks({"now": ["norm", ("attention", "W_O")]}, "c"),
        "norm on the stream, then added from a branch: attention, W_O",
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_a_picture_says_what_it_shows(case):
    picture, said = SAID[case]
    assert picture.alt.startswith("c ") and said in picture.alt
    width = float(re.search(r'width="(\d+)"', picture.svg)[1])
    assert 0 < width <= 441, "wider than a phone"
    assert "currentColor" in picture.svg
