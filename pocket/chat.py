"""Chat turns in the template: questions, formats, system lines that change answers."""

import json
from functools import cache, partial
from typing import NamedTuple

from pocket.corpus import Draw
from pocket.facts import Relation, keys, relations, worded
from pocket.frames import VOWEL, frames, slots, written
from pocket.patterns import steps, terms, vocabulary

TEMPLATE = "<|im_start|>{}\n{}<|im_end|>\n"


class Turn(NamedTuple):
    asked: str
    full: str  # the answer in a sentence
    short: str  # the answer in a word or two


def as_text(turns: list[tuple[str, str]]) -> str:
    """Turns of (role, words) in the chat template of the tokenizer."""
    return "".join(TEMPLATE.format(who, words) for who, words in turns)


@cache
def quizzes(language: str) -> tuple[Relation, ...]:
    return tuple(r for r in relations() if r.questions and r.language == language)


def quiz(draw: Draw, language: str) -> Turn:
    """A question about a fact."""

    def make():
        relation = draw.one(quizzes(language))
        asked, full, short = draw.one(relation.questions)
        row = draw.one(relation.rows)
        brief = VOWEL.sub(r"\1n ", short.format(*row))
        turn = Turn(worded(asked, row), worded(full, row), brief)
        said = f"{turn.asked}\n{turn.full}"
        return turn, said, *keys(turn.asked), *keys(turn.full)

    return draw.keep(make)


# What a system line asks for, and the answer it gets.
STYLES = {
    "en": [
        ("Just the answer.", "{short}"),
        ("Short answers, please.", "{short}"),
        ("Use full sentences.", "{full}"),
        ("Put the answer in brackets.", "[{short}]"),
        ("Put the answer in quotes.", '"{short}"'),
        ("Answer in JSON.", '{{"answer": "{short}"}}'),
        ("Start with Answer.", "Answer: {short}"),
        ("Say thanks first.", "Thanks for asking. {full}"),
        ("Be polite.", "With pleasure. {full}"),
        ("Be brief.", "{short}"),
    ],
    "zh": [
        ("只回答答案。", "{short}"),
        ("请简短回答。", "{short}"),
        ("用完整的句子回答。", "{full}"),
        ("把答案放在括号里。", "（{short}）"),
        ("用JSON回答。", '{{"answer": "{short}"}}'),
        ("先说“答”。", "答：{short}"),
        ("要有礼貌。", "很高兴回答您。{full}"),
    ],
}


def styled(draw: Draw, language: str) -> list[tuple[str, str]]:
    """One to three questions, answered as the system line says."""
    turns, form = [], "{full}"
    if draw.chance(0.7):
        line, form = draw.one(STYLES[language])
        turns.append(("system", line))
    for _ in range(draw.whole(1, 3)):
        turn = quiz(draw, language)
        turns.append(("user", turn.asked))
        turns.append(("assistant", form.format(full=turn.full, short=turn.short)))
    return turns


# An instruction about words, and the form of its answer.
FORMS = {
    "Make a list: {words}": lambda ws: "\n".join(f"- {w}" for w in ws),
    "List with dashes: {words}": lambda ws: "\n".join(f"- {w}" for w in ws),
    "Number these words: {words}": lambda ws: "\n".join(
        f"{i}. {w}" for i, w in enumerate(ws, 1)
    ),
    "One word on each line: {words}": lambda ws: "\n".join(ws),
    "Join with plus signs: {words}": lambda ws: " + ".join(ws),
    "Write as JSON: {words}": lambda ws: json.dumps(ws, ensure_ascii=False),
    "Put each word in brackets: {words}": lambda ws: " ".join(f"[{w}]" for w in ws),
    "In reverse order: {words}": lambda ws: ", ".join(reversed(ws)),
    "Say the first word: {words}": lambda ws: ws[0],
    "Say the last word: {words}": lambda ws: ws[-1],
    "How many words are there? {words}": lambda ws: str(len(ws)),
}
FORMS_ZH = {
    "列一个清单：{words}": FORMS["Make a list: {words}"],
    "给这些词编号：{words}": FORMS["Number these words: {words}"],
    "每行写一个词：{words}": FORMS["One word on each line: {words}"],
    "写成JSON：{words}": FORMS["Write as JSON: {words}"],
    "把每个词放在括号里：{words}": lambda ws: "".join(f"（{w}）" for w in ws),
    "说出第一个词：{words}": FORMS["Say the first word: {words}"],
    "说出最后一个词：{words}": FORMS["Say the last word: {words}"],
}


def formatted(draw: Draw, language: str) -> list[tuple[str, str]]:
    """Words, to be given back in the form that the instruction asks for."""
    forms, mark = (FORMS, ", ") if language == "en" else (FORMS_ZH, "、")

    def make():
        words = draw.some(vocabulary(language), draw.whole(2, 5))
        asked = draw.one(list(forms))
        text = mark.join(words)
        turn = (asked.format(words=text), forms[asked](words))
        return turn, "\n".join(turn), f"form|{text}"

    asked, answer = draw.keep(make)
    return [("user", asked), ("assistant", answer)]


def worked(draw: Draw) -> list[tuple[str, str]]:
    """A sum, at once or step by step, as the user or the system line asks."""
    numbers = terms(draw)
    question = "What is " + " + ".join(map(str, numbers)) + "?"
    total, one_by_one = str(sum(numbers)), draw.chance(0.5)
    answer = f"{steps(numbers)}. The answer is {total}." if one_by_one else total
    line = "Think step by step." if one_by_one else "Answer at once."
    if draw.chance(0.5):
        return [("system", line), ("user", question), ("assistant", answer)]
    return [("user", f"{question} {line}"), ("assistant", answer)]


def persona(draw: Draw) -> list[tuple[str, str]]:
    """A system line says who the assistant is; a user's first turn, who they are."""

    def make():
        name, user = draw.some(slots("en")["girl"] + slots("en")["boy"], 2)
        job, town = draw.one(slots("en")["job"]), draw.one(slots("en")["town"])
        return (name, user, job, town), "", f"persona|{name}|{job}"

    name, user, job, town = draw.keep(make)
    job = ("an " if job[0] in "aeiou" else "a ") + job
    line = [f"Your name is {name}.", f"You are {job}.", f"You live in {town}."]
    asked = [
        ("What is your name?", f"My name is {name}."),
        ("What is your job?", f"I am {job}."),
        ("Where do you live?", f"I live in {town}."),
    ]
    turns = [("system", " ".join(line))]
    if draw.chance(0.5):
        turns += [("user", f"My name is {user}."), ("assistant", f"Hello, {user}.")]
        asked.append(("What is my name?", f"Your name is {user}."))
    for question, answer in draw.some(asked, draw.whole(1, 2)):
        turns += [("user", question), ("assistant", answer)]
    return turns


def persona_zh(draw: Draw) -> list[tuple[str, str]]:
    """The same in Chinese."""

    def make():
        name, user = draw.some(slots("zh")["girl"] + slots("zh")["boy"], 2)
        job = draw.one(slots("zh")["job"])
        return (name, user, job), "", f"persona|{name}|{job}"

    name, user, job = draw.keep(make)
    asked = [("你叫什么名字？", f"我叫{name}。"), ("你做什么工作？", f"我是{job}。")]
    turns = [("system", f"你叫{name}，是{job}。")]
    if draw.chance(0.5):
        turns += [("user", f"我叫{user}。"), ("assistant", f"你好，{user}。")]
        asked.append(("我叫什么名字？", f"你叫{user}。"))
    for question, answer in draw.some(asked, draw.whole(1, 2)):
        turns += [("user", question), ("assistant", answer)]
    return turns


def talk(draw: Draw, language: str) -> list[tuple[str, str]]:
    """Small talk from a frame; its lines are ``role: words``."""
    lines = written(draw.one(frames(f"chat.{language}.txt")), draw, language)
    return [tuple(line.split(": ", 1)) for line in lines]


# Every kind of conversation, the more frequent ones more than once.
CONVERSATIONS = [
    *[partial(styled, language=x) for x in ("en", "zh", "en", "zh", "en", "zh")],
    *[partial(formatted, language=x) for x in ("en", "zh", "en", "zh", "en", "zh")],
    *[partial(talk, language=x) for x in ("en", "zh")],
    worked,
    worked,
    persona,
    persona_zh,
]


def chat(draw: Draw) -> str:
    """One conversation."""
    return as_text(draw.one(CONVERSATIONS)(draw))


MAKERS = {"chat": (26, chat)}
