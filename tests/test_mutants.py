"""The tests are tested: each mistake below must make the named test fail.

A mistake is an edit of the package's source (tests/mutation.py). Its test must pass on
the right code and fail, by an assertion, on the wrong one.
"""

from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import pytest
import test_accounting
import test_attention
import test_cache
import test_generate
import test_heads
import test_layers
import test_model
import test_pocket_training
import test_rope
import test_sampling
import test_tokenizer
import torch
from mutation import mutated

from llmcourse import (
    accounting,
    attention,
    cache,
    generate,
    heads,
    layers,
    model,
    rope,
    sampling,
    tokenizer,
)
from pocket import initial


class Mutant(NamedTuple):
    mistake: str
    module: ModuleType
    edits: tuple[tuple[str, str], ...]
    test: Callable
    args: tuple = ()


def mutant(mistake, module, old, new, test, *args) -> Mutant:
    return Mutant(mistake, module, ((old, new),), test, args)


MUTANTS = [
    # RoPE
    mutant(
        "half layout with the interleaved pairs", rope,
        "x[..., : R // 2], x[..., R // 2 : R]", "x[..., 0:R:2], x[..., 1:R:2]",
        test_rope.test_rotation_equals_loops, "half",
    ),
    Mutant(
        "RoPE turns the other way", rope,
        (("cat((x1 * cos - x2 * sin, x2 * cos + x1 * sin)",
          "cat((x1 * cos + x2 * sin, x2 * cos - x1 * sin)"),),
        test_rope.test_rotation_equals_loops, ("half",),
    ),
    mutant(
        "RoPE mirrors instead of turning", rope,
        "stack((x1 * cos - x2 * sin", "stack((x1 * cos + x2 * sin",
        test_rope.test_lengths_are_kept, "interleaved",
    ),
    mutant(
        "exponents run twice as fast", rope,
        "torch.arange(0, d_rotary, 2, dtype=torch.float32) / d_rotary",
        "torch.arange(0, d_rotary, 2, dtype=torch.float32) / (d_rotary // 2)",
        test_rope.test_frequencies_are_a_geometric_series_from_1,
    ),
    mutant(
        "linear scaling stretches", rope,
        "freqs / scaling.factor", "freqs * scaling.factor",
        test_rope.test_linear_scaling_squeezes_positions,
    ),
    mutant(
        "Llama-3 scaling slows the fast pairs", rope,
        "keep = keep.clamp(0, 1)", "keep = 1 - keep.clamp(0, 1)",
        test_rope.test_llama3_scaling_keeps_fast_pairs_and_divides_slow_ones,
    ),
    mutant(
        "YaRN slows the fast pairs", rope,
        "keep = 1 - ((index", "keep = ((index",
        test_rope.test_yarn_scaling_keeps_fast_pairs_and_divides_slow_ones,
    ),
    mutant(
        "longrope takes the long list for short texts", rope,
        "if length > s.original_max_len else", "if length <= s.original_max_len else",
        test_rope.test_longrope_has_a_short_and_a_long_list,
    ),
    mutant(
        "YaRN without its magnitude", rope, "return log + 1", "return 1.0",
        test_rope.test_magnitudes,
    ),
    mutant(
        "the permutation of weights does nothing", rope,
        "pairs.transpose(1, 2).reshape", "pairs.reshape",
        test_rope.test_permuted_weights_give_the_same_scores,
    ),
    # attention and masks
    mutant(
        "no scale", attention, "* q.shape[-1] ** -0.5", "",
        test_attention.test_attention_equals_loops, 2,
    ),
    mutant(
        "scale by K instead of its root", attention,
        "q.shape[-1] ** -0.5", "q.shape[-1] ** -1",
        test_attention.test_attention_equals_loops, 2,
    ),
    mutant(
        "no scale in the fused operator", attention,
        "enable_gqa=q", "scale=1.0, enable_gqa=q",
        test_attention.test_attention_equals_loops, 2,
    ),
    mutant(
        "a token does not see itself", attention, "return k <= q", "return k < q",
        test_attention.test_causal_mask_is_aligned_bottom_right,
    ),
    mutant(
        "a token sees the next one", attention, "return k <= q", "return k <= q + 1",
        test_attention.test_causal_mask_is_aligned_bottom_right,
    ),
    mutant(
        "the mask inverted", attention,
        'masked_fill(~mask, float("-inf"))', 'masked_fill(mask, float("-inf"))',
        test_attention.test_weights_sum_to_one_and_are_zero_where_nothing_may_be_seen,
    ),
    mutant(
        "the mask aligned top-left", attention, "k[S - T :, None]", "k[:T, None]",
        test_attention.test_causal_mask_is_aligned_bottom_right,
    ),
    mutant(
        "the past hidden from a chunk, as torch's own flag does", attention,
        "mask = build_mask(causal, T, S, device=q.device)",
        "mask = torch.ones(T, S).tril().bool()",
        test_cache.test_any_split_of_the_prompt_gives_the_same_logits,
        "llama", [8, 7],
    ),
    mutant(
        "softmax over the queries", attention,
        'float("-inf")).softmax(-1)', 'float("-inf")).softmax(-2)',
        test_attention.test_weights_sum_to_one_and_are_zero_where_nothing_may_be_seen,
    ),
    mutant(
        "NaN where there is nothing to see", attention,
        "return weights.masked_fill(~mask, 0.0)", "return weights",
        test_attention.test_a_row_with_nothing_to_see_gives_zeros,
        torch.float32,
    ),
    mutant(
        "a window one token too wide", attention, "(q - k) < width", "(q - k) <= width",
        test_attention.test_window_counts_the_token_itself,
    ),
    mutant(
        "a prefix one token too long", attention, "(k < n)", "(k <= n)",
        test_attention.test_prefix_tokens_see_each_other,
    ),
    mutant(
        "one column of text taken for padding", attention, "(k >= pad", "(k > pad",
        test_attention.test_padding_hides_the_columns_at_the_left_of_its_row,
    ),
    mutant(
        "documents see the others", attention,
        "documents[..., q] == ", "documents[..., q] != ",
        test_attention.test_packed_documents_do_not_see_each_other,
    ),
    mutant(
        "rules joined by or", attention, "allowed & rule(q, k)", "allowed | rule(q, k)",
        test_attention.test_any_rules_conjoin,
    ),
    # heads
    mutant(
        "K/V heads tiled instead of interleaved", heads,
        "x.repeat_interleave(n_repeat, dim=-3)",
        "x.repeat(*[1] * (x.dim() - 3), n_repeat, 1, 1)",
        test_heads.test_copies_of_a_kv_head_stand_side_by_side,
    ),
    mutant(
        "a head takes every n-th number", heads,
        "x.view(B, T, n_heads, width // n_heads).transpose(1, 2)",
        "x.view(B, T, width // n_heads, n_heads).permute(0, 3, 1, 2)",
        test_heads.test_a_head_is_consecutive_numbers,
    ),
    mutant(
        "heads merged without turning back", heads,
        "x.transpose(1, 2).flatten(2)", "x.reshape(x.shape[0], x.shape[2], -1)",
        test_heads.test_merge_is_the_inverse_of_split,
    ),
    # layers
    mutant(
        "epsilon outside the root", layers,
        "torch.rsqrt(x32.square().mean(-1, keepdim=True) + self.eps)",
        "torch.rsqrt(x32.square().mean(-1, keepdim=True)) + self.eps",
        test_layers.test_rms_norm_divides_by_the_root_of_the_mean_square,
    ),
    mutant(
        "RMSNorm subtracts the mean", layers,
        "x32 = x.float()", "x32 = x.float() - x.float().mean(-1, keepdim=True)",
        test_layers.test_rms_norm_divides_by_the_root_of_the_mean_square,
    ),
    mutant(
        "RMSNorm squares half types", layers, "x32 = x.float()", "x32 = x",
        test_layers.test_rms_norm_of_half_types_takes_its_statistics_in_float32,
        torch.float16,
    ),
    mutant(
        "a norm's gain counted from 1", layers,
        "(x32 * scale).to(x.dtype) * self.weight",
        "(x32 * scale).to(x.dtype) * (1 + self.weight)",
        test_layers.test_rms_norm_divides_by_the_root_of_the_mean_square,
    ),
    mutant(
        "gate and up swapped", layers, "gate, up = ", "up, gate = ",
        test_layers.test_gated_ffn_gates_with_silu_of_gate, False,
    ),
    mutant(
        "erf for tanh GELU", layers, 'approximate="tanh"', 'approximate="none"',
        test_layers.test_ffn_is_down_of_the_activation_of_up, "gelu_tanh", True,
    ),
    mutant(
        "a fused map forgets its bias", layers,
        "F.linear(x, weight, bias)", "F.linear(x, weight)",
        test_layers.test_fused_maps_give_the_same_numbers,
        True, torch.float32,
    ),
    mutant(
        "a fused map does not notice new weights", layers,
        "if addresses == _addresses(maps):", "if True:",
        test_layers.test_replaced_weights_are_noticed, "parameter",
    ),
    mutant(
        "a fused map keeps gradients from its parts", layers,
        "if self.fused and not torch.is_grad_enabled() and", "if self.fused and",
        test_layers.test_gradients_reach_every_map_after_fusing,
    ),
    mutant(
        "values rotate too", layers,
        "rotated[:, H:], heads[:, H + G :]",
        "rotated[:, H:], apply_rope(heads[:, H + G :], *rope)",
        test_layers.test_attention_module_equals_one_head_after_the_other,
        "llama", True,
    ),
    mutant(
        "keys do not rotate", layers,
        "rotated[:, :H], rotated[:, H:],", "rotated[:, :H], heads[:, H : H + G],",
        test_layers.test_attention_module_equals_one_head_after_the_other,
        "llama", True,
    ),
    # model
    mutant(
        "RoPE starts at 0 after a cache", model,
        "torch.arange(past, length", "torch.arange(0, T",
        test_cache.test_any_split_of_the_prompt_gives_the_same_logits,
        "llama", [8, 7],
    ),
    mutant(
        "the head untied", model,
        "self.lm_head.weight = self.model.embed_tokens.weight", "pass",
        test_model.test_the_tied_head_is_the_embedding,
    ),
    mutant(
        "no residual around attention", model,
        "x = x + self.self_attn(", "x = self.self_attn(",
        test_model.test_logits_equal_the_naive_program, "llama",
    ),
    mutant(
        "the FFN reads what is not normalised", model,
        "self.mlp(self.post_attention_layernorm(x))", "self.mlp(x)",
        test_model.test_logits_equal_the_naive_program, "llama",
    ),
    mutant(
        "no norm at the end", model, "return self.norm(x)", "return x",
        test_model.test_logits_equal_the_naive_program, "gpt2",
    ),
    mutant(
        "the first logits instead of the last", model, "x[:, -1:]", "x[:, :1]",
        test_model.test_last_only_gives_the_last_logits,
    ),
    mutant(
        "the window ignored", model,
        "narrow = width is not None and S > width", "narrow = False",
        test_model.test_logits_equal_the_naive_program, "mistral",
    ),
    # cache
    mutant(
        "new keys stored in the wrong order", cache,
        "keys[:, :, held:S] = k", "keys[:, :, held:S] = k.flip(2)",
        test_cache.test_any_split_of_the_prompt_gives_the_same_logits,
        "llama", [8, 7],
    ),
    mutant(
        "new keys put before the old ones", cache,
        "return keys[:, :, self._first : S], values[:, :, self._first : S]",
        "return tuple(x[:, :, :S].roll(S - held, 2) for x in (keys, values))",
        test_cache.test_any_split_of_the_prompt_gives_the_same_logits,
        "gpt2", [8, 7],
    ),
    mutant(
        "keys stored as values", cache, "held:S] = v", "held:S] = k",
        test_cache.test_any_split_of_the_prompt_gives_the_same_logits,
        "llama", [8, 7],
    ),
    mutant(
        "the cache restarts its positions", cache,
        "self._length += T", "self._length = T",
        test_cache.test_any_split_of_the_prompt_gives_the_same_logits,
        "llama", [8, 7],
    ),
    mutant(
        "truncation forgets nothing", cache,
        "        self._length = length\n", "        pass\n",
        test_cache.test_truncate_and_go_on_equals_never_having_gone_on, "llama",
    ),
    mutant(
        "a window drops one token too many", cache,
        "keep = self.window - 1", "keep = self.window - 2",
        test_cache.test_a_window_forgets_what_no_one_sees, "mistral", 64,
    ),
    # generate
    mutant(
        "padding shifts positions", generate,
        "(columns - pad[:, None]).clamp(min=0)", "columns + 0 * pad[:, None]",
        test_generate.test_a_batch_writes_what_each_prompt_alone_gives, "gpt2",
    ),
    mutant(
        "padding can be seen", generate,
        "rule = both(causal, padding(pad))", "rule = causal",
        test_generate.test_a_batch_writes_what_each_prompt_alone_gives, "llama",
    ),
    mutant(
        "the stop token emitted", generate,
        "if all(ended):\n", "if all(ended):\n            yield row\n",
        test_generate.test_a_stop_id_ends_the_text_and_is_not_part_of_it,
    ),
    mutant(
        "one token too many", generate,
        "min(T + max_new_tokens,", "min(T + max_new_tokens + 1,",
        test_generate.test_no_more_than_max_new_tokens,
    ),
    mutant(
        "new tokens escape the repetition penalty", generate,
        "seen.scatter_(1, new, True)", "pass",
        test_generate.test_a_penalty_counts_prompt_and_new_tokens,
    ),
    mutant(
        "stale keys used where RoPE has changed", model,
        "return len(cache) > 0 and cache.regime != self._regime(length)",
        "return False",
        test_generate.test_the_cache_is_filled_anew_where_rope_changes, "longrope",
    ),
    # sampling
    mutant(
        "top-p drops the token that crosses", sampling,
        "before >= p", "before + probs >= p",
        test_sampling.test_top_p_keeps_the_token_that_crosses, 0.51, 2,
    ),
    mutant(
        "top-k throws its result away", sampling,
        'return logits.masked_fill(logits < smallest, float("-inf"))', "return logits",
        test_sampling.test_top_k_keeps_exactly_the_k_largest, 5,
    ),
    Mutant(
        "temperature after top-p", sampling,
        (("    logits = temperature(logits, params.temperature)\n"
          "    logits = top_p(top_k(logits, params.top_k), params.top_p)\n",
          "    logits = top_p(top_k(logits, params.top_k), params.top_p)\n"
          "    logits = temperature(logits, params.temperature)\n"),),
        test_sampling.test_the_order_of_temperature_and_top_p_matters,
    ),
    mutant(
        "min-p as an absolute probability", sampling,
        "p * probs.amax(-1, keepdim=True)", "p",
        test_sampling.test_min_p_compares_with_the_likeliest,
    ),
    mutant(
        "the penalty lifts negative logits", sampling,
        "torch.where(logits > 0, logits / penalty, logits * penalty)",
        "logits / penalty",
        test_sampling.test_repetition_penalty_pushes_down_whatever_the_sign,
    ),
    mutant(
        "temperature multiplies", sampling,
        ") / max(value, 1e-30)", ") * max(value, 1e-30)",
        test_sampling.test_temperature_divides_differences,
    ),
    mutant(
        "draws lean towards the likely", sampling,
        "u = u.to(probs.device) *", "u = u.to(probs.device).square() *",
        test_sampling.test_draws_follow_the_distribution,
    ),
    mutant(
        "the generator ignored", sampling, ", generator=generator, dtype", ", dtype",
        test_sampling.test_a_fixed_generator_gives_fixed_ids,
    ),
    # tokenizer and accounting
    mutant(
        "half a character streamed", tokenizer,
        'if text and not text.endswith("\\ufffd"):', "if text:",
        test_tokenizer.test_text_comes_as_soon_as_its_last_byte,
    ),
    mutant(
        "the beginning of a stop string streamed", tokenizer,
        "len(held) - _stop_begins(held, stop)", "len(held)",
        test_tokenizer.test_a_stop_string_ends_the_text_and_is_never_shown,
        ["one<", "stop>two"], ["<stop>"], "one",
    ),
    mutant(
        "a tied head counted twice", accounting, "0 if c.tied else c.vocab", "c.vocab",
        test_accounting.test_published_totals, "gpt2",
    ),
    mutant(
        "a multiply-add counted once", accounting, "maps = 2 * T", "maps = T",
        test_accounting.test_flops_equal_those_that_torch_counts, "llama",
    ),
    # Pocket's first weights
    mutant(
        "heads that look ahead", initial, "-fast * angle.sin()", "fast * angle.sin()",
        test_pocket_training.test_training_begins_with_heads_that_look_back,
    ),
    mutant(
        "a key that says its own token", initial, "match @ written.T", "match @ seen",
        test_pocket_training
        .test_training_begins_with_a_head_that_looks_for_what_came_after,
    ),
]  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.mistake)
def test_mistake_is_caught(mutant):
    mutant.test(*mutant.args)
    with mutated(mutant.module, *mutant.edits):
        try:
            mutant.test(*mutant.args)
        except (AssertionError, pytest.fail.Exception):
            return
    raise AssertionError(f"{mutant.test.__name__} passes with: {mutant.mistake}")


def test_the_right_code_is_back_afterwards():
    right = rope.apply_rope.__code__
    with mutated(rope, ("x1, x2 = x[..., 0:R:2], x[..., 1:R:2]", "x1, x2 = x, x")):
        assert rope.apply_rope.__code__ is not right
    assert rope.apply_rope.__code__ is right


def test_an_edit_that_no_longer_applies_is_an_error():
    with pytest.raises(LookupError, match="0 times"), mutated(rope, ("no such", "")):
        pass
