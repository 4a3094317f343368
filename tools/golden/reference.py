"""transformers' Voxtral Realtime in fp32, fed step by step from an original checkpoint.

    model = load(directory)
    run = transcribe(model, samples, delay_positions)     run.ids, run.margins, run.stages
    again = offline(model, samples, delay_positions, run.ids)

`transcribe` computes one decoder position per call with transformers' own caches, takes the id of
the last audio position too (generate() leaves it out) and lets no id end the stream. `offline` gives
the same ids to one call without any cache: the reference without rings. Both run where the model
lies and in its type: fp32 on the CPU as loaded, elsewhere after model.to(...).
"""

import re
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from transformers import (VoxtralRealtimeConfig, VoxtralRealtimeFeatureExtractor,
                          VoxtralRealtimeForConditionalGeneration, VoxtralRealtimeTextConfig)
from transformers.models.voxtral_realtime import VoxtralRealtimeEncoderConfig

import checkpoint

POSITION_SAMPLES = 1280
LEFT_PAD_POSITIONS = 32
RIGHT_PAD_EXTRA_POSITIONS = 11  # after the delay: 1 for the decision + 10 of mistral-common
STREAMING_PAD = 32


@dataclass
class Run:
    ids: list = field(default_factory=list)
    margins: list = field(default_factory=list)  # largest logit minus the second, per id
    stages: dict = field(default_factory=dict)   # (stage, layer) -> f32 [rows, dim]


def rope_order(weight, head_count):
    """Rows of wq or wk (weight or bias) from interleaved pairs (2i, 2i+1), as in the original file,
    to the two halves of transformers."""
    pairs = weight.reshape(head_count, weight.shape[0] // head_count // 2, 2, *weight.shape[1:])
    return pairs.transpose(1, 2).reshape(weight.shape)


def hf_name(name):
    encoder = name.startswith(checkpoint.WHISPER)
    name = name.replace(checkpoint.WHISPER + "conv_layers.0.conv", "model.audio_tower.embedder.conv1")
    name = name.replace(checkpoint.WHISPER + "conv_layers.1.conv", "model.audio_tower.embedder.conv2")
    name = name.replace(checkpoint.WHISPER + "transformer.", "model.audio_tower.")
    name = name.replace(checkpoint.EMBEDDING + "audio_language_projection.0", "model.multi_modal_projector.linear_1")
    name = name.replace(checkpoint.EMBEDDING + "audio_language_projection.2", "model.multi_modal_projector.linear_2")
    name = name.replace(checkpoint.EMBEDDING + "tok_embeddings", "model.language_model.embed_tokens")
    if name.startswith("layers.") or name == "norm.weight":
        name = "model.language_model." + name
    name = name.replace("attention_norm", "self_attn_layer_norm" if encoder else "input_layernorm")
    name = name.replace("ffn_norm", "final_layer_norm" if encoder else "post_attention_layernorm")
    name = re.sub(r"attention\.w([qkvo])\.", r"self_attn.\1_proj.", name)
    for original, theirs in (("w1", "gate"), ("w2", "down"), ("w3", "up")):
        name = name.replace(f"feed_forward.{original}.", f"mlp.{theirs}_proj.")
    name = name.replace("ada_rms_norm_t_cond.0", "ada_rms_norm.linear1")
    return name.replace("ada_rms_norm_t_cond.2", "ada_rms_norm.linear2")


def configuration(params):
    encoder = params["multimodal"]["whisper_model_args"]["encoder_args"]
    audio = VoxtralRealtimeEncoderConfig(
        vocab_size=encoder["vocab_size"], hidden_size=encoder["dim"], intermediate_size=encoder["hidden_dim"],
        num_hidden_layers=encoder["n_layers"], num_attention_heads=encoder["n_heads"],
        head_dim=encoder["head_dim"], sliding_window=int(encoder["sliding_window"]),
        rms_norm_eps=encoder["norm_eps"], num_mel_bins=encoder["audio_encoding_args"]["num_mel_bins"],
        max_position_embeddings=1 << 30,
        rope_parameters={"rope_type": "default", "rope_theta": encoder["rope_theta"]})
    text = VoxtralRealtimeTextConfig(
        vocab_size=params["vocab_size"], hidden_size=params["dim"], intermediate_size=params["hidden_dim"],
        num_hidden_layers=params["n_layers"], num_attention_heads=params["n_heads"],
        num_key_value_heads=params["n_kv_heads"], head_dim=params["head_dim"],
        sliding_window=int(params["sliding_window"]), rms_norm_eps=params["norm_eps"],
        max_position_embeddings=1 << 30,
        rope_parameters={"rope_type": "default", "rope_theta": params["rope_theta"]})
    downsample = params["multimodal"]["whisper_model_args"]["downsample_args"]["downsample_factor"]
    return VoxtralRealtimeConfig(audio_config=audio, text_config=text, downsample_factor=downsample,
                                 tie_word_embeddings=True, attn_implementation="eager")


def load(directory, unpermuted=None, kv_window=None):
    """The model of a directory. `unpermuted` ("encoder" or "decoder") leaves that stack's wq and wk
    in the file's order: the mistake of half-split rotary on original weights. `kv_window`: another
    sliding window of the decoder."""
    params, tensors = checkpoint.read(directory)
    if kv_window is not None:
        params["sliding_window"] = kv_window
    encoder = params["multimodal"]["whisper_model_args"]["encoder_args"]
    state = {}
    for name, tensor in tensors.items():
        stack = "encoder" if name.startswith(checkpoint.WHISPER) else "decoder"
        heads = encoder if stack == "encoder" else params
        if ".attention.wq." in name and stack != unpermuted:
            tensor = rope_order(tensor, heads["n_heads"])
        if ".attention.wk." in name and stack != unpermuted:
            tensor = rope_order(tensor, heads["n_kv_heads"])
        state[hf_name(name)] = tensor
    state["lm_head.weight"] = state["model.language_model.embed_tokens.weight"]
    with torch.device("meta"):
        model = VoxtralRealtimeForConditionalGeneration(configuration(params))
    missing, unexpected = model.load_state_dict(state, strict=False, assign=True)
    if missing or unexpected:
        raise SystemExit(f"{directory}: tensors missing {missing}, not understood {unexpected}")
    # Buffers of the meta device have no values yet: make them as the constructors would have.
    for module in model.modules():
        if hasattr(module, "compute_default_rope_parameters"):
            module.inv_freq = nn.Buffer(module.compute_default_rope_parameters(module.config)[0], persistent=False)
            module.original_inv_freq = nn.Buffer(module.inv_freq.clone(), persistent=False)
    time = model.model.time_embedding
    model.model.time_embedding = type(time)(time.dim, time.theta)
    return model.float().eval()


def read_samples(path):
    """A recording as it reaches the model: 16 kHz, mono, s16 / 32768 in f32."""
    import soundfile  # full_size.py reads raw samples, on machines that may lack it

    samples, rate = soundfile.read(path, dtype="float32")
    if rate != 16000 or samples.ndim != 1:
        raise SystemExit(f"{path}: is {rate} Hz with {samples.ndim} dimensions; exact ids need 16000 Hz, one channel")
    return samples


def pad(samples, delay_positions):
    """What offline mode puts around a recording (mistral-common, audio.py)."""
    right = -len(samples) % POSITION_SAMPLES + (delay_positions + RIGHT_PAD_EXTRA_POSITIONS) * POSITION_SAMPLES
    return np.concatenate([np.zeros(LEFT_PAD_POSITIONS * POSITION_SAMPLES, np.float32), samples,
                           np.zeros(right, np.float32)])


def mel_frames(samples, delay_positions):
    """[1, bins, frames] f32 from transformers' own extractor."""
    padded = pad(samples, delay_positions)
    return VoxtralRealtimeFeatureExtractor()(padded, sampling_rate=16000, return_tensors="pt").input_features


def prompt(delay_positions):
    return [1] + [STREAMING_PAD] * (LEFT_PAD_POSITIONS + delay_positions)


class Taps:
    """Collects the rows of every stage while the model runs."""

    def __init__(self, model):
        self.rows, self.handles = {}, []
        tower, text = model.model.audio_tower, model.model.language_model
        self.before(tower.embedder.conv2, "conv0", transposed=True)
        self.after(tower.embedder, "conv1")
        for index, layer in enumerate(tower.layers):
            self.after(layer, "encoder_layer", index)
        self.after(tower.norm, "encoder")
        self.after(model.model.multi_modal_projector, "adapter")
        self.before(text.layers[0], "decoder_input")
        for index, layer in enumerate(text.layers):
            self.after(layer, "decoder_layer", index)
        self.after(text.norm, "decoder")
        self.after(model.lm_head, "logits")

    def keep(self, stage, layer, value):
        self.rows.setdefault((stage, layer), []).append(value[0].detach().clone())

    def before(self, module, stage, layer=0, transposed=False):
        def hook(_module, args, kwargs):
            value = args[0] if args else kwargs["hidden_states"]
            self.keep(stage, layer, value.transpose(1, 2) if transposed else value)
        self.handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))

    def after(self, module, stage, layer=0):
        def hook(_module, _args, value):
            self.keep(stage, layer, value)
        self.handles.append(module.register_forward_hook(hook))

    def finish(self):
        for handle in self.handles:
            handle.remove()
        return {key: torch.cat(parts).float().cpu().numpy() for key, parts in self.rows.items()}


@torch.no_grad()
def transcribe(model, samples, delay_positions, taps=False, forced=None):
    """Greedy, one position per call, with caches. `forced` ids are fed instead of the choices."""
    run, mel = Run(), mel_frames(samples, delay_positions).to(model.device, model.dtype)
    position_count = mel.shape[-1] // (2 * model.config.downsample_factor)
    listening = Taps(model) if taps else None
    frames = model.model.audio_tower.embedder(mel)
    text_cache = audio_cache = None
    ids, position = prompt(delay_positions), 0
    while position < position_count:
        scale = model.config.downsample_factor
        out = model(input_ids=torch.tensor([ids], device=model.device), num_delay_tokens=delay_positions, use_cache=True,
                    encoder_inputs_embeds=frames[:, position * scale:(position + len(ids)) * scale],
                    past_key_values=text_cache, encoder_past_key_values=audio_cache)
        text_cache, audio_cache = out.past_key_values, out.encoder_past_key_values
        position += len(ids)
        best = out.logits[0, -1].float().topk(2)
        run.ids.append(int(out.logits[0, -1].argmax()))
        run.margins.append(float(best.values[0] - best.values[1]))
        ids = [run.ids[-1] if forced is None else forced[len(run.ids) - 1]]
    if taps:
        run.stages = listening.finish()
        run.stages[("mel", 0)] = mel[0].T.float().cpu().contiguous().numpy()
    return run


@torch.no_grad()
def offline(model, samples, delay_positions, ids, conditioning_delay=None):
    """Every stage for given ids, in one call without caches. `conditioning_delay` gives the ada norms
    another delay than the schedule has: a mistake."""
    listening = Taps(model)
    model(input_ids=torch.tensor([prompt(delay_positions) + ids[:-1]], device=model.device), use_cache=False,
          num_delay_tokens=delay_positions if conditioning_delay is None else conditioning_delay,
          input_features=mel_frames(samples, delay_positions).to(model.device, model.dtype))
    return listening.finish()
