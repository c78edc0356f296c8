"""What the page on notation says is what the package does."""

import re
from dataclasses import fields
from pathlib import Path

import torch
from transformers import Qwen2Config

from llmcourse.attention import causal_mask
from llmcourse.config import ModelConfig

PAGE = Path(__file__).resolve().parent.parent / "chapters" / "notation.md"
TEXT = PAGE.read_text(encoding="utf-8")


def table_rows(text: str, columns: int) -> list[list[str]]:
    """The rows of the Markdown tables with so many columns, without their headers."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [line.strip("| ").split(" | ") for line in lines]
    return [row for row in rows if len(row) == columns and row[0].startswith("`")]


def test_the_legend_has_nine_letters_once():
    letters = [row[0].strip("`") for row in table_rows(TEXT, columns=3)]
    assert letters == list("BTSDHGKFV")


def test_config_names_exist():
    rows = table_rows(TEXT, columns=4)
    assert [row[0].strip("`") for row in rows] == list("DHGKFV")
    ours = {field.name for field in fields(ModelConfig)}
    theirs = Qwen2Config(head_dim=8).to_dict()
    for letter, _, hugging_face, here in rows:
        assert here.strip("`") in ours, letter
        assert hugging_face.strip("`") in theirs, letter
    assert "n_layers" in ours and "num_hidden_layers" in theirs


def test_the_mask_is_the_packages():
    table = TEXT.split(":name: causal-mask-3x5")[1].split("```")[0]
    cells = [cell == "True" for cell in re.findall(r"^ +- (True|False)$", table, re.M)]
    printed = torch.tensor(cells).view(3, 5)
    assert torch.equal(printed, causal_mask(3, 5))
    queries = [int(q) for q in re.findall(r"^\* - (\d)$", table, re.M)]
    assert queries == [2, 3, 4]


def test_the_rule_is_the_packages():
    for T, S in ((1, 1), (1, 5), (3, 5), (4, 4)):
        rule = torch.tensor([[j <= i + (S - T) for j in range(S)] for i in range(T)])
        assert torch.equal(rule, causal_mask(T, S)), (T, S)
