"""Text to ids and back: a thin face over Hugging Face `tokenizers`. Chapter 01."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from operator import index
from pathlib import Path

from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer as Backend

from .checkpoint import find_folder


class Tokenizer:
    """Encodes, decodes, and writes a chat as the model was taught to read it."""

    def __init__(self, backend: Backend, config: dict | None = None):
        self.backend = backend
        self.config = config or {}

    @classmethod
    def from_pretrained(cls, name: str | Path) -> "Tokenizer":
        """Load `tokenizer.json`, and what belongs to it, from a folder or the hub."""
        folder = find_folder(name)
        try:
            backend = Backend.from_str((folder / "tokenizer.json").read_text("utf-8"))
            file = folder / "tokenizer_config.json"
            config = json.loads(file.read_text("utf-8")) if file.is_file() else {}
            if (folder / "chat_template.jinja").is_file():
                template = (folder / "chat_template.jinja").read_text("utf-8")
                config["chat_template"] = template
        except Exception as error:  # `tokenizers` raises plain Exception
            raise ValueError(f"cannot read a tokenizer in {folder}: {error}") from error
        return cls(backend, config)

    def __len__(self) -> int:
        """V: the number of ids, special tokens included."""
        return self.backend.get_vocab_size()

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Text to ids; the names of special tokens become those tokens.

        add_special_tokens: put what the tokenizer wants around every text, a begin
        token for one. A chat by the template has it already.
        """
        return self.backend.encode(text, add_special_tokens=add_special_tokens).ids

    def decode(self, ids: Iterable[int]) -> str:
        """Ids to text without special tokens; a broken character becomes U+FFFD."""
        return self.backend.decode(self._checked(ids))

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Each id's own text. A part of a character is shown as its bytes: ‹e4›‹bd›."""
        return [self._piece(token) for token in self._checked(ids)]

    def chat(self, messages: Sequence[dict], add_generation_prompt: bool = True) -> str:
        """Messages [{"role": ..., "content": ...}] as text, by the model's template."""
        for message in messages:
            if not all(isinstance(message.get(n), str) for n in ("role", "content")):
                raise ValueError(
                    f"a message has a role and a content, both strings, got {message}"
                )
        template = self.config.get("chat_template")
        if not isinstance(template, str):
            found = "none" if template is None else f"a {type(template).__name__}"
            raise ValueError(
                f"a chat template is one string, the tokenizer has {found}"
            )
        sandbox = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        sandbox.globals |= {"raise_exception": _refuse, "strftime_now": _now}
        sandbox.filters["tojson"] = _to_json
        names = {n: self._special(n) for n in ("bos_token", "eos_token", "pad_token")}
        try:
            return sandbox.from_string(template).render(
                messages=messages, add_generation_prompt=add_generation_prompt, **names
            )
        except Exception as error:  # a template can fail in any way that Python can
            raise ValueError(f"the chat template refuses this: {error}") from error

    def stream(self, ids: Iterable[int], stop: Sequence[str] = ()) -> Iterator[str]:
        """Text as its ids come: never half a character, and nothing from a stop string
        on. What could become a stop string is held back until that is decided.
        """
        if isinstance(stop, str) or not all(stop := list(stop)):
            raise ValueError(
                f"stop is a list of stop strings, none of them empty, got {stop!r}"
            )
        held = ""
        for text in self._whole_characters(ids):
            held += text
            found = [held.index(s) for s in stop if s in held]
            if found:
                held = held[: min(found)]
                break
            safe = len(held) - _stop_begins(held, stop)
            if safe:
                yield held[:safe]
            held = held[safe:]
        if held:
            yield held

    def _whole_characters(self, ids: Iterable[int]) -> Iterator[str]:
        before, held = [], []  # ids of the text that came last, and ids that wait
        for token in ids:
            held.append(token)
            text = self._added(before, held)
            if text and not text.endswith("\ufffd"):
                yield text
                before, held = held, []
        rest = self._added(before, held)  # a character that was never finished
        if rest:
            yield rest

    def _added(self, before: list[int], held: list[int]) -> str:
        """What `held` adds to the text; alone, its first piece might lose a space."""
        known, text = self.decode(before), self.decode(before + held)
        return text[len(known) :] if text.startswith(known) else self.decode(held)

    def _piece(self, token: int) -> str:
        text = self.backend.decode([token], skip_special_tokens=False)
        if "\ufffd" not in text:
            return text
        name = self.backend.id_to_token(token)
        if name.startswith("<0x"):  # byte fallback of SentencePiece vocabularies
            return f"‹{name[3:5].lower()}›"
        return "".join(f"‹{_BYTE.get(c, ord(c)):02x}›" for c in name)

    def _special(self, name: str) -> str:
        value = self.config.get(name) or ""
        return value["content"] if isinstance(value, dict) else value

    def _checked(self, ids: Iterable[int]) -> list[int]:
        ids = [index(token) for token in ids]
        for token in ids:
            if not 0 <= token < len(self):
                raise ValueError(f"id {token} is outside the vocabulary of {len(self)}")
        return ids


def _refuse(reason: str) -> None:
    raise TemplateError(reason)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _to_json(value, **options) -> str:
    return json.dumps(value, ensure_ascii=False, **options)  # Jinja's own escapes HTML


def _stop_begins(text: str, stop: Sequence[str]) -> int:
    """How many characters at the end of text may be the beginning of a stop string."""
    longest = max((len(s) - 1 for s in stop), default=0)
    for n in range(min(longest, len(text)), 0, -1):
        if any(s.startswith(text[-n:]) for s in stop):
            return n
    return 0


def _byte_alphabet() -> dict[str, int]:
    """The characters by which byte-level BPE writes the 256 bytes (GPT-2's table)."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in visible]
    table = {chr(b): b for b in visible}
    return table | {chr(256 + i): b for i, b in enumerate(hidden)}


_BYTE = _byte_alphabet()
