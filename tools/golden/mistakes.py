"""Planted mistakes: what the stages would be if an engine got one thing wrong.

    for name, stages in planted(directory, model, samples, delay_positions, ids): ...

Each is made by changing the reference, and each is stored beside the right golden, so that the C
tests prove that they would see it.
"""

from contextlib import ExitStack, contextmanager
from functools import partial

import torch

import reference


@contextmanager
def replaced(owner, name, value):
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def without_bias(modules):
    kept = [module.bias for module in modules]
    for module in modules:
        module.bias = torch.nn.Parameter(torch.zeros_like(module.bias))
    try:
        yield
    finally:
        for module, bias in zip(modules, kept):
            module.bias = bias


@contextmanager
def tanh_in_ada(layers):
    def forward(norm, delay):
        return norm.linear2(torch.nn.functional.gelu(norm.linear1(delay), approximate="tanh"))

    with ExitStack() as stack:
        for layer in layers:
            norm = layer.ada_rms_norm
            stack.enter_context(replaced(norm, "forward", partial(forward, norm)))
        yield


def changes(model):
    """Name -> (how to change the model, the stages that show it first)."""
    tower, projector = model.model.audio_tower, model.model.multi_modal_projector
    audio, text = model.config.audio_config, model.config.text_config
    tanh = partial(torch.nn.functional.gelu, approximate="tanh")
    conv, encoder, decoder = ["conv0", "conv1"], ["encoder_layer"], ["decoder_layer"]
    found = {
        "conv1_left_pad_2": (lambda: replaced(tower.embedder.conv2, "left_pad", 2), ["conv1"]),
        "gelu_tanh_conv": (lambda: replaced(torch.nn.functional, "gelu", tanh), conv),
        "gelu_tanh_adapter": (lambda: replaced(projector, "act", torch.nn.GELU(approximate="tanh")), ["adapter"]),
        "gelu_tanh_ada": (lambda: tanh_in_ada(model.model.language_model.layers), decoder),
        "conv0_bias_left_out": (lambda: without_bias([tower.embedder.conv1]), ["conv0"]),
        "conv1_bias_left_out": (lambda: without_bias([tower.embedder.conv2]), ["conv1"]),
    }
    for change in (+1, -1):
        word = "plus_1" if change > 0 else "minus_1"
        found[f"encoder_window_{word}"] = (partial(
            replaced, audio, "sliding_window", audio.sliding_window + change), encoder)
        found[f"decoder_window_{word}"] = (partial(
            replaced, text, "sliding_window", text.sliding_window + change), decoder)
    for name, pick in (("wq", lambda layer: layer.self_attn.q_proj), ("wv", lambda layer: layer.self_attn.v_proj),
                       ("wo", lambda layer: layer.self_attn.o_proj), ("w2", lambda layer: layer.mlp.down_proj)):
        found[f"{name}_bias_left_out"] = (partial(without_bias, [pick(layer) for layer in tower.layers]), encoder)
    return found


def planted(directory, model, samples, delay_positions, ids):
    """Yields (name, {(stage, layer): rows}), for the ids of the right run."""
    def affected(changed, stages, delay=delay_positions):
        rows = reference.offline(changed, samples, delay_positions, ids, conditioning_delay=delay)
        return {key: value for key, value in rows.items() if key[0] in stages and key[1] == 0}

    for name, (change, stages) in changes(model).items():
        with change():
            yield name, affected(model, stages)
    for stack in ("encoder", "decoder"):
        yield f"{stack}_rope_half_split", affected(reference.load(directory, unpermuted=stack), [f"{stack}_layer"])
    yield "ada_of_the_next_delay", affected(model, ["decoder_layer"], delay_positions + 1)
