"""The tokenizer: round trips, pieces, chats, and a stream of whole characters."""

import json
import random

import pytest
from tiny import refuses
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend
from tokenizers.trainers import BpeTrainer

from llmcourse import POCKET
from llmcourse.tokenizer import Tokenizer

TEXTS = [
    "The cat sat on the mat. The dog sat on the log.",
    "猫坐在垫子上。狗坐在木头上。",
    "naïve café, 3.14 \u00bd",
    "The \U0001f642 sat.",
]
TEMPLATE = (
    "{% for m in messages %}\n"
    "{{ '<s>' + m['role'] + ': ' + m['content'] + eos_token }}\n"
    "{% endfor %}\n"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)


def byte_level() -> Tokenizer:
    """A byte-level BPE like those of GPT-2, Llama 3 and Qwen, trained on TEXTS."""
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(
        vocab_size=320,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS * 3, trainer)
    config = {"eos_token": {"content": "</s>"}, "chat_template": TEMPLATE}
    return Tokenizer(backend, config)


def sentence_piece() -> Tokenizer:
    """A BPE with byte fallback like that of Llama 2: spaces are written as ▁."""
    names = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256))]
    names += ["▁", "a", "b", "c", "▁a", "▁b", "ab", "▁ab", "é"]
    merges = [("▁", "a"), ("▁", "b"), ("a", "b"), ("▁a", "b")]
    vocab = {name: i for i, name in enumerate(names)}
    model = models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True)
    backend = Backend(model)
    backend.add_special_tokens([AddedToken("<s>"), AddedToken("</s>")])
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return Tokenizer(backend)


TOKENIZERS = {"byte level": byte_level(), "sentence piece": sentence_piece()}
BYTES = TOKENIZERS["byte level"]


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("text", [*TEXTS, "", " ", "  a  b", "\n\t\r", "ab é\u0000"])
def test_text_survives_the_round_trip(name, text):
    tokenizer = TOKENIZERS[name]
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_ids_are_within_the_vocabulary():
    assert len(BYTES) == 320
    ids = [token for text in TEXTS for token in BYTES.encode(text)]
    assert all(0 <= token < 320 for token in ids) and len(set(ids)) > 20
    assert all(isinstance(token, int) for token in ids)


def test_special_tokens_are_read_and_not_decoded():
    ids = BYTES.encode("<s>cat</s>")
    assert ids[0] == 0 and ids[-1] == 1
    assert BYTES.decode(ids) == "cat"
    assert BYTES.pieces(ids)[0] == "<s>"


def test_pieces_are_each_id_alone():
    ids = BYTES.encode("The cat")
    assert "".join(BYTES.pieces(ids)) == "The cat"
    assert BYTES.pieces(ids)[0] == "The"


@pytest.mark.parametrize("name", TOKENIZERS)
def test_pieces_show_the_bytes_of_a_part_of_a_character(name):
    tokenizer = TOKENIZERS[name]
    pieces = tokenizer.pieces(tokenizer.encode("龙"))
    shown = "".join(pieces).replace(" ", "")
    assert shown == "".join(f"‹{b:02x}›" for b in "龙".encode())


def test_ids_outside_the_vocabulary_are_refused():
    for call in (BYTES.decode, BYTES.pieces):
        refuses(call, [5, 320], says=["id 320", "vocabulary of 320"])
        refuses(call, [-1], says=["id -1", "vocabulary of 320"])
        with pytest.raises(TypeError, match="float"):
            call([5.7])


def test_a_chat_follows_the_template():
    messages = [{"role": "user", "content": "Hi"}]
    assert BYTES.chat(messages) == "<s>user: Hi</s>\n<s>assistant: "
    assert BYTES.chat(messages, False) == "<s>user: Hi</s>\n"


def test_a_chat_without_or_against_the_template_is_refused():
    none = TOKENIZERS["sentence piece"]
    refuses(none.chat, [{"role": "user", "content": "Hi"}], says=["one string", "none"])
    named = Tokenizer(BYTES.backend, {"chat_template": [{"name": "default"}]})
    refuses(
        named.chat, [{"role": "user", "content": "Hi"}], says=["one string", "list"]
    )
    strict = Tokenizer(
        BYTES.backend, {"chat_template": "{{ raise_exception('no system role') }}"}
    )
    refuses(strict.chat, [], says=["chat template refuses"])


@pytest.mark.parametrize(
    "message", [{"content": "Hi"}, {"role": "user", "content": None}], ids=str
)
def test_a_message_without_role_or_content_is_refused(message):
    refuses(BYTES.chat, [message], says=["a role and a content", message])


# The stream.


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("text", TEXTS)
def test_a_stream_is_whole_characters_that_join_to_the_text(name, text):
    tokenizer = TOKENIZERS[name]
    pieces = list(tokenizer.stream(tokenizer.encode(text)))
    assert "".join(pieces) == text
    assert all(pieces) and "\ufffd" not in "".join(pieces)
    assert len(pieces) > 3


@pytest.mark.parametrize("seed", range(20))
def test_a_stream_of_random_ids_joins_to_their_decoding(seed):
    """Random ids are broken characters for the most part."""
    draws = random.Random(seed)
    ids = [draws.randrange(len(BYTES)) for _ in range(60)]
    assert "".join(BYTES.stream(ids)) == BYTES.decode(ids)


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("seed", range(20))
def test_a_stream_of_random_characters_joins_to_their_text(name, seed):
    draws = random.Random(seed)
    text = "".join(draws.choice("ab  é龙猫\U0001f642\u00a0\n") for _ in range(40))
    tokenizer = TOKENIZERS[name]
    pieces = list(tokenizer.stream(tokenizer.encode(text)))
    assert "".join(pieces) == text and "\ufffd" not in text
    assert max(map(len, pieces)) <= 3  # nothing waits longer than it must


def test_a_broken_run_of_bytes_does_not_end_the_stream():
    """Byte fallback decodes such a run anew, in the end as broken from its beginning;
    what has been shown stays.
    """
    tokenizer = TOKENIZERS["sentence piece"]
    names = ["a", "<0xD1>", "<0x98>", "<0xD1>", "é", "▁b"]  # a, ј, half a ј, é, b
    ids = [tokenizer.backend.token_to_id(name) for name in names]
    assert tokenizer.decode(ids) == "a\ufffd\ufffd\ufffdé b"
    assert list(tokenizer.stream(ids)) == ["a", "ј", "\ufffdé", " b"]


def test_text_comes_as_soon_as_its_last_byte():
    ids = BYTES.encode("a龙b")
    assert len(ids) == 5
    asked = []

    def tokens():
        for token in ids:
            asked.append(token)
            yield token

    stream = BYTES.stream(tokens())
    assert [(next(stream), len(asked)) for _ in range(3)] == [
        ("a", 1),
        ("龙", 4),
        ("b", 5),
    ]


def test_a_character_that_is_never_finished_comes_at_the_end():
    ids = BYTES.encode("a龙")[:-1]
    pieces = list(BYTES.stream(ids))
    assert pieces[0] == "a" and "".join(pieces) == BYTES.decode(ids) == "a\ufffd"


def split(text: str, *pieces: str) -> list[int]:
    """Ids of pieces that are encoded apart, so that borders lie where wanted."""
    assert "".join(pieces) == text
    return [token for piece in pieces for token in BYTES.encode(piece)]


@pytest.mark.parametrize(
    ("pieces", "stop", "wanted"),
    [
        (["one ", "END", " two"], ["END"], "one "),
        (["one ", "E", "N", "D", " two"], ["END"], "one "),
        (["one E", "N", "E", "N", "D two"], ["END"], "one EN"),
        (["EN", "EN", "EX"], ["END"], "ENENEX"),
        (["END", " two"], ["END"], ""),
        (["E", "N"], ["END"], "EN"),
        (["a", "b", "c", "d"], ["cd", "bc"], "a"),
        (["a", "b", "c", "d"], ["x", "d", "abce"], "abc"),
        (["ab", "\n", "\n", "cd"], ["\n\n"], "ab"),
        (["a", "龙", "b"], ["龙"], "a"),
        (["x", "a", "a", "b"], ["aab"], "x"),
        (["a" * 3, "a", "b", "c"], ["aab"], "aa"),
        (["x", "<s>END", "STOP"], ["STOP", "END"], "x"),
        (["one"], [], "one"),
    ],
)
def test_a_stop_string_ends_the_text_and_is_never_shown(pieces, stop, wanted):
    got = list(BYTES.stream(split("".join(pieces), *pieces), stop))
    assert "".join(got) == wanted
    assert all(got)


def test_the_first_of_two_stop_strings_in_one_piece_ends_the_text():
    ids = BYTES.encode("x The cat sat")
    assert " cat" in BYTES.pieces(ids)
    assert "".join(BYTES.stream(ids, ["at", "ca"])) == "x The "


def test_text_that_cannot_become_a_stop_string_is_not_held_back():
    stream = BYTES.stream(split("ab1ENx", "a", "b", "1", "E", "N", "x"), ["END"])
    assert list(stream) == ["a", "b", "1", "ENx"]


def test_no_more_ids_are_asked_for_after_a_stop_string():
    asked = []

    def tokens():
        for token in split("abcdef", *"abcdef"):
            asked.append(token)
            yield token

    assert "".join(BYTES.stream(tokens(), ["cd"])) == "ab"
    assert len(asked) == 4


def test_an_empty_stop_string_is_refused():
    refuses(lambda: list(BYTES.stream([], [""])), says=["none of them empty", "['']"])
    refuses(
        lambda: list(BYTES.stream([], "\n")), says=["a list of stop strings", r"'\n'"]
    )
    assert "".join(BYTES.stream(split("abcd", *"abcd"), iter(["c"]))) == "ab"


# Files.


def saved(folder, tokenizer=BYTES, config=None) -> None:
    tokenizer.backend.save(str(folder / "tokenizer.json"))
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")


def test_a_tokenizer_is_read_from_its_folder(tmp_path):
    saved(tmp_path, config=BYTES.config)
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    for text in TEXTS:
        assert tokenizer.encode(text) == BYTES.encode(text)
    assert tokenizer.chat([], True) == "<s>assistant: "


def test_a_template_may_have_its_own_file(tmp_path):
    saved(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("own {{ eos_token }}", "utf-8")
    assert Tokenizer.from_pretrained(tmp_path).chat([]) == "own "


def test_missing_and_broken_files_are_refused(tmp_path):
    refuses(Tokenizer.from_pretrained, tmp_path, says=["tokenizer", tmp_path])
    refuses(Tokenizer.from_pretrained, tmp_path / "no", says=[tmp_path / "no"])
    (tmp_path / "tokenizer.json").write_text("{}")
    refuses(Tokenizer.from_pretrained, tmp_path, says=["tokenizer", tmp_path])
    saved(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{")
    refuses(Tokenizer.from_pretrained, tmp_path, says=["tokenizer", tmp_path])


def test_the_shipped_tokenizer_streams_what_it_decodes():
    """The one test here that reads llmcourse/data/pocket."""
    tokenizer, draws = Tokenizer.from_pretrained(POCKET), random.Random(0)
    for text in TEXTS:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == "".join(tokenizer.stream(ids)) == text
    ids = [draws.randrange(len(tokenizer)) for _ in range(500)]
    assert "".join(tokenizer.stream(ids)) == tokenizer.decode(ids)
