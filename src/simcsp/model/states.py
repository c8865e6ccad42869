"""Hidden states of an encoder, computed only as far as somebody asks for them.

Layers above the one asked for are not run, and the last layer is computed only where a prediction or an embedding is
taken from it: its keys and values at every token, everything else (five sixths of it) at the places asked for. What
comes out is what the Hugging Face model gives there.

Shapes: ``B`` windows, ``T`` tokens with ``[CLS]`` and ``[SEP]``, ``D`` width of the model, ``K`` places of a window.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.models.modernbert.modeling_modernbert import apply_rotary_pos_emb

from simcsp.config import Pooling
from simcsp.model.attention import attend, within

_TOKENS_AT_A_TIME = 4096  # on the CPU: what a layer makes of them stays in the cache for the next operation


class Encoded(NamedTuple):
    """What :func:`encode` gives.

    Attributes:
        at_places: ``(B, K, D)`` last hidden state at the places asked for, empty if there were none.
        pooled: ``(B, P)`` one vector per window, empty if no pooling was asked for.
    """

    at_places: Tensor
    pooled: Tensor


def encode(
    model: PreTrainedModel,
    tokens: Tensor,
    *,
    places: Tensor | None = None,
    pooling: Pooling | None = None,
    layer: int = -1,
    shift: Tensor | None = None,
) -> Encoded:
    """Last hidden state at some places, and windows pooled from hidden state ``layer``, in one pass.

    Args:
        model: the encoder.
        tokens: ``(B, T)``, without padding.
        places: ``(B, K)`` tokens whose last hidden state is wanted.
        pooling: of the windows; see :func:`pool`.
        layer: that is pooled; 0 is the embedding, -1 the last layer.
        shift: ``(B,)`` nt by which the site lies right of the middle; 0 if not given. Only ``site`` asks.
    """
    windows = max(1, _TOKENS_AT_A_TIME // tokens.shape[1])
    if tokens.device.type == "cpu" and len(tokens) > windows:
        pieces = torch.split(tokens, windows)
        at, by = ([None] * len(pieces) if one is None else torch.split(one, windows) for one in (places, shift))
        each = [
            encode(model, piece, places=its, pooling=pooling, layer=layer, shift=its_shift)
            for piece, its, its_shift in zip(pieces, at, by, strict=True)
        ]
        return Encoded(*(torch.cat(part) for part in zip(*each, strict=True)))
    depth = len(_layers(model))
    asked = tokens.new_empty((len(tokens), 0)) if places is None else places
    layer %= depth + 1
    if pooling is not None and layer < depth:
        hidden = _through(model, _embedded(model, tokens), 0, layer)
        pooled = _pool_at(hidden, tokens, pooling, shift)
        if places is None:
            return Encoded(hidden[:, :0], pooled)
        return Encoded(_last_at(model, _through(model, hidden, layer, depth - 1), asked), pooled)
    if pooling == "mean":
        last = hidden_state(model, tokens, -1)
        return Encoded(take(last, asked), pool(last, pooling))
    pooled_from = _pooled_places(tokens, pooling, shift)
    hidden = _through(model, _embedded(model, tokens), 0, depth - 1)
    last = _last_at(model, hidden, torch.cat([asked, pooled_from], dim=1))
    return Encoded(last[:, : asked.shape[1]], last[:, asked.shape[1] :].flatten(1))


def hidden_state(model: PreTrainedModel, tokens: Tensor, layer: int) -> Tensor:
    """Hidden state ``layer`` of a batch without padding: ``(B, T)`` → ``(B, T, D)``; -1 is the last layer."""
    depth = len(_layers(model))
    layer %= depth + 1
    hidden = _through(model, _embedded(model, tokens), 0, layer)
    return _normed(model, hidden) if layer == depth else hidden


def pooled_states(model: PreTrainedModel, tokens: Tensor) -> dict[Pooling, Tensor]:
    """Every hidden state pooled in every way, in one pass: ``(B, T)`` → pooling → ``(B, layers + 1, P)``.

    No more than one hidden state of all tokens is held at a time.
    """
    hidden, depth = _embedded(model, tokens), len(_layers(model))
    pooled: dict[Pooling, list[Tensor]] = {pooling: [] for pooling in get_args(Pooling)}
    for layer in range(depth + 1):
        hidden = _through(model, hidden, layer - 1, layer) if layer else hidden
        shown = _normed(model, hidden) if layer == depth else hidden
        for pooling, found in pooled.items():
            found.append(pool(shown, pooling))
    return {pooling: torch.stack(found, dim=1) for pooling, found in pooled.items()}


def parameters_below(model: PreTrainedModel, layer: int) -> Iterator[nn.Parameter]:
    """Parameters that hidden state ``layer`` depends on."""
    depth = len(_layers(model))
    layer %= depth + 1
    yield from _base(model).embeddings.parameters()
    yield from _layers(model)[:layer].parameters()
    if layer == depth and _is_modern(model):
        yield from _base(model).final_norm.parameters()


def pool(hidden: Tensor, pooling: Pooling) -> Tensor:
    """One vector per window from hidden states ``(B, T, D)``.

    ``cls``: the first token, ``(B, D)``. ``mean``: over the nucleotides, ``(B, D)``. ``site``: the two central
    nucleotides side by side, ``(B, 2 D)``, as in the embedding analysis of Chen et al. (2024).
    """
    if pooling == "mean":
        return hidden[:, 1:-1].mean(dim=1)
    return hidden[:, _pooled_slice(hidden.shape[1], pooling)].flatten(1)


def pooled_width(model: PreTrainedModel, pooling: Pooling) -> int:
    """Length of the vector that :func:`pool` gives."""
    width = int(model.config.hidden_size)
    return 2 * width if pooling == "site" else width


def mlm_logits(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """Scores over the vocabulary by the model's own prediction head: ``(…, D)`` → ``(…, vocabulary)``."""
    for name in ("head", "decoder") if _is_modern(model) else ("cls",):
        hidden = model.get_submodule(name)(hidden)
    return hidden


def _pooled_slice(tokens: int, pooling: Pooling | None) -> slice:
    middle = tokens // 2
    return {None: slice(0), "cls": slice(1), "site": slice(middle - 1, middle + 1)}[pooling]


def _pooled_places(tokens: Tensor, pooling: Pooling | None, shift: Tensor | None) -> Tensor:
    every = torch.arange(tokens.shape[1], device=tokens.device)
    places = every[_pooled_slice(tokens.shape[1], pooling)].expand(len(tokens), -1)
    return places + shift[:, None] if shift is not None and pooling == "site" else places


def _pool_at(hidden: Tensor, tokens: Tensor, pooling: Pooling, shift: Tensor | None) -> Tensor:
    """:func:`pool` where sites are not in the middle."""
    if shift is None or pooling != "site":
        return pool(hidden, pooling)
    return take(hidden, _pooled_places(tokens, pooling, shift)).flatten(1)


def take(hidden: Tensor, places: Tensor) -> Tensor:
    """Hidden states at some places of each window: ``(B, T, D)`` at ``(B, K)`` → ``(B, K, D)``."""
    return hidden.gather(1, places[..., None].expand(-1, -1, hidden.shape[-1]))


# --- the two architectures -----------------------------------------------------------------------------------------


def _is_modern(model: PreTrainedModel) -> bool:
    return bool(model.config.model_type == "modernbert")


def _base(model: PreTrainedModel) -> Any:
    """Without the prediction head; its parts carry no types."""
    return model.base_model


def _layers(model: PreTrainedModel) -> Any:
    return _base(model).layers if _is_modern(model) else _base(model).encoder.layer


def _embedded(model: PreTrainedModel, tokens: Tensor) -> Tensor:
    hidden: Tensor = _base(model).embeddings(input_ids=tokens)
    return hidden


def _through(model: PreTrainedModel, hidden: Tensor, first: int, last: int) -> Tensor:
    """Run layers ``first`` to ``last`` - 1 at every token."""
    for layer in _layers(model)[first:last]:
        rotary = {"position_embeddings": _rotary(model, layer, hidden)} if _is_modern(model) else {}
        hidden = layer(hidden, **rotary)
    return hidden


def _last_at(model: PreTrainedModel, hidden: Tensor, places: Tensor) -> Tensor:
    """Run the last layer at some places: ``(B, T, D)`` → ``(B, K, D)``."""
    layer = _layers(model)[-1]
    if _is_modern(model):
        return _normed(model, _modernbert_at(layer, hidden, places, *_rotary(model, layer, hidden)))
    return _bert_at(layer, hidden, places)


def _normed(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """What the last layer's output becomes: ModernBERT norms before each part, and once more at the end."""
    last: Tensor = _base(model).final_norm(hidden) if _is_modern(model) else hidden
    return last


def _bert_at(layer: Any, hidden: Tensor, places: Tensor) -> Tensor:
    attention, asked = layer.attention.self, take(hidden, places)
    parts = ((attention.query, asked), (attention.key, hidden), (attention.value, hidden))
    query, key, value = (_by_head(linear(states), attention.num_attention_heads) for linear, states in parts)
    found = attend(query, key, value, attention.scaling)
    result: Tensor = layer.feed_forward_chunk(layer.attention.output(_side_by_side(found), asked))
    return result


def _modernbert_at(layer: Any, hidden: Tensor, places: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    attention, width, asked = layer.attn, hidden.shape[-1], take(hidden, places)
    heads = width // attention.head_dim
    states, weight, bias = layer.attn_norm(hidden), attention.Wqkv.weight, attention.Wqkv.bias
    of_query, of_rest = (None, None) if bias is None else (bias[:width], bias[width:])
    query = _by_head(functional.linear(take(states, places), weight[:width], of_query), heads)
    key, value = (_by_head(p, heads) for p in functional.linear(states, weight[width:], of_rest).chunk(2, dim=-1))
    query, _ = apply_rotary_pos_emb(query, query, cos[0][places], sin[0][places])
    key, _ = apply_rotary_pos_emb(key, key, cos, sin)
    reach = attention.sliding_window
    allowed = None if reach is None else within(places, hidden.shape[1], reach)
    found = attend(query, key, value, attention.head_dim**-0.5, allowed)
    asked = asked + attention.out_drop(attention.Wo(_side_by_side(found)))
    result: Tensor = asked + layer.mlp(layer.mlp_norm(asked))
    return result


def _rotary(model: PreTrainedModel, layer: Any, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines ``(1, T, d)`` of ModernBERT's rotary positions."""
    places = torch.arange(hidden.shape[1], device=hidden.device)[None]
    angles: tuple[Tensor, Tensor] = _base(model).rotary_emb(hidden, places, layer.attention_type)
    return angles


def _by_head(states: Tensor, heads: int) -> Tensor:
    """``(B, K, D)`` → ``(B, H, K, d)``."""
    return states.view(*states.shape[:2], heads, states.shape[-1] // heads).transpose(1, 2)


def _side_by_side(states: Tensor) -> Tensor:
    """``(B, H, K, d)`` → ``(B, K, D)``."""
    return states.transpose(1, 2).flatten(2)
