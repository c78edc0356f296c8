"""Pocket's tokenizer: byte-level BPE, learnt from the corpus.

Byte-level, so that every text comes back exactly: no byte is unknown. Digits stand
alone. Chinese has no spaces, and merges learnt across words would swallow whole
sentences of a corpus as small as this one; so for *training* the Chinese is cut into
words first, and merges are learnt only within words.
"""

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from pocket.checkpoint import write_whole
from pocket.corpus import END, documents
from pocket.frames import TEXT

START, END_OF_TURN = "<|im_start|>", "<|im_end|>"
SPECIALS = [END, START, END_OF_TURN]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HAN = re.compile(r"[\u4e00-\u9fff]+")
CELL = re.compile(r"(?<=[/;:|\[=\n ])([\u4e00-\u9fff]+)(?=[/;|\]\n])")
# How the tokenizers of Qwen2 cut a text into chunks (their tokenizer.json).
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LONGEST = 4  # Han characters in the longest word that may become one token


@cache
def lexicon() -> frozenset[str]:
    """Chinese words: those of the tables, the slots and the choices in the frames."""
    known: set[str] = set()
    for path in TEXT.rglob("*.txt"):
        # A choice of four characters is mostly a phrase, a name in a table is not.
        longest = LONGEST if path.parent != TEXT else LONGEST - 1
        words = CELL.findall(path.read_text(encoding="utf-8"))
        known.update(word for word in words if 1 < len(word) <= longest)
    return frozenset(known)


def cut(han: str) -> list[str]:
    """Chinese text cut into words: the longest known word first, else one character."""
    parts, i = [], 0
    while i < len(han):
        n = next((n for n in range(LONGEST, 1, -1) if han[i : i + n] in lexicon()), 1)
        parts.append(han[i : i + n])
        i += n
    return parts


def spaced(text: str) -> str:
    """The text with its Chinese words on lines of their own: for training only."""
    return HAN.sub(lambda m: "\n" + "\n".join(cut(m[0])) + "\n", text)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Learn the merges of a byte-level BPE of vocab_size tokens from the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(map(spaced, texts), trainer)
    # What transformers puts there for every model of this type, whatever the file says.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


def sample(seed: int, count: int) -> Iterator[str]:
    """Texts to learn merges from, without the markers, which are tokens already."""
    for document in itertools.islice(documents(seed), count):
        yield re.sub("|".join(map(re.escape, SPECIALS)), "\n", document.text)


def save_tokenizer(tokenizer: Tokenizer, folder: Path, max_len: int = 512) -> None:
    """Write the folder that ``transformers.AutoTokenizer`` loads."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "tokenizer.json", tokenizer.to_str(pretty=True).encode())
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_len,
        "eos_token": SPECIALS[0],
        "pad_token": SPECIALS[0],
        "additional_special_tokens": SPECIALS[1:],
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
    write_whole(folder / "tokenizer_config.json", text.encode())
