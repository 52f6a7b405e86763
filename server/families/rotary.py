"""Rotary position embeddings of Hugging Face configurations: every kind of scaling, under its old name and its new.

The frequencies are plain numbers made once. Kinds and formulas: linear (position interpolation, arXiv 2306.15595), dynamic (NTK-aware
base by length), yarn (arXiv 2309.00071), longrope (arXiv 2402.13753), llama3 (wavelengths in three bands, Llama 3.1).
"""
import math

import torch
import torch.nn as nn


#: What a kind of scaling cannot do without.
NEEDED = {"linear": ("factor",), "dynamic": ("factor",), "longrope": ("short_factor", "long_factor"),
          "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")}


def rope_values(config, kind=None):
    """`rope_parameters` holds everything in newer configurations; older ones have `rope_theta` and `rope_scaling`."""
    given = config.rope_parameters or {}
    if kind is not None and kind in given:
        given = given[kind] or {}
    scaling = config.rope_scaling or {}
    values = {"rope_theta": config.rope_theta, "rope_type": "default", "partial_rotary_factor": config.partial_rotary_factor}
    for name, value in list(scaling.items()) + list(given.items()):
        values["rope_type" if name == "type" else name] = value
    if values["rope_type"] == "su":
        values["rope_type"] = "longrope"
    return values


def yarn(values, dim, config):
    base, trained = values["rope_theta"], values.get("original_max_position_embeddings") or config.max_position_embeddings
    factor = values.get("factor") or config.max_position_embeddings / trained

    def boundary(rotations):
        return dim * math.log(trained / (rotations * 2 * math.pi)) / (2 * math.log(base))

    low, high = boundary(values.get("beta_fast") or 32), boundary(values.get("beta_slow") or 1)
    if values.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dim - 1)
    if low == high:
        high = high + 0.001
    frequencies, count = [], (dim + 1) // 2
    for i in range(count):
        plain = 1.0 / base ** (2 * i / dim)
        ramp = min(max((i - low) / (high - low), 0.0), 1.0)
        frequencies.append(plain / factor * ramp + plain * (1.0 - ramp))

    def attention(scale, weight):
        return 1.0 if scale <= 1 else 0.1 * weight * math.log(scale) + 1.0

    strength = values.get("attention_factor")
    if strength is None:
        whole, each = values.get("mscale"), values.get("mscale_all_dim")
        strength = attention(factor, whole) / attention(factor, each) if whole and each else attention(factor, 1)
    return frequencies, strength


def llama3(values, dim):
    base, factor, trained = values["rope_theta"], values["factor"], values["original_max_position_embeddings"]
    low, high = values["low_freq_factor"], values["high_freq_factor"]
    frequencies, count = [], (dim + 1) // 2
    for i in range(count):
        plain = 1.0 / base ** (2 * i / dim)
        wavelength = 2 * math.pi / plain
        if wavelength > trained / low:
            frequencies.append(plain / factor)
        elif wavelength < trained / high:
            frequencies.append(plain)
        else:
            smooth = (trained / wavelength - low) / (high - low)
            frequencies.append((1 - smooth) * plain / factor + smooth * plain)
    return frequencies


def longrope(values, dim, config):
    base, count = values["rope_theta"], (dim + 1) // 2
    trained = config.original_max_position_embeddings or values.get("original_max_position_embeddings") or config.max_position_embeddings
    factor = values.get("factor") or config.max_position_embeddings / trained
    strength = values.get("attention_factor")
    if strength is None:
        strength = 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(trained))
    short = [1.0 / (values["short_factor"][i] * base ** (2 * i / dim)) for i in range(count)]
    long = [1.0 / (values["long_factor"][i] * base ** (2 * i / dim)) for i in range(count)]
    return short, long, trained, strength


class RotaryEmbedding(nn.Module):
    """Cosines and sines [sequence, rotated size] of the positions from 0 on."""

    def __init__(self, config, head_dim, kind=None):
        super().__init__()
        values = rope_values(config, kind)
        dim = int(head_dim * values["partial_rotary_factor"])
        base, count = values["rope_theta"], (dim + 1) // 2
        self.kind, self.dim, self.base = values["rope_type"], dim, base
        for name in NEEDED.get(self.kind, ()):
            if values.get(name) is None:
                raise ValueError(f"rotary scaling of the kind {self.kind} needs {name}, which the configuration does not give")
        self.trained = config.max_position_embeddings
        self.scaling = 1.0
        frequencies = [1.0 / base ** (2 * i / dim) for i in range(count)]
        if self.kind == "linear":
            frequencies = [each / values["factor"] for each in frequencies]
        elif self.kind == "dynamic":
            self.factor = values["factor"]
        elif self.kind == "yarn":
            frequencies, self.scaling = yarn(values, dim, config)
        elif self.kind == "llama3":
            frequencies = llama3(values, dim)
        elif self.kind == "longrope":
            frequencies, longer, self.trained, self.scaling = longrope(values, dim, config)
            self.register_buffer("longer", torch.tensor(longer), persistent=False)
        elif self.kind != "default":
            raise ValueError(f"rotary scaling of the kind {self.kind} is not known: default, linear, dynamic, yarn, longrope and llama3 are")
        self.register_buffer("inv_freq", torch.tensor(frequencies), persistent=False)

    def forward(self, length):
        positions = torch.arange(length)
        inv_freq = self.inv_freq
        # What depends on the length is computed with it, so that one graph serves every length.
        if self.kind == "dynamic":
            longest = torch.clamp(positions[-1:] + 1, min=self.trained).float()
            base = self.base * (self.factor * longest / self.trained - (self.factor - 1)) ** (self.dim / (self.dim - 2))
            inv_freq = 1.0 / base ** (torch.arange(0, self.dim, 2).float() / self.dim)
        elif self.kind == "longrope":
            inv_freq = torch.where(positions[-1:] >= self.trained, self.longer, self.inv_freq)
        angles = torch.outer(positions.float(), inv_freq)
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos() * self.scaling, angles.sin() * self.scaling


def rotate(x, cos, sin):
    """Turns the pairs (i, i + half) of the first `cos.shape[-1]` sizes of each head; the others stay."""
    size = cos.shape[-1]
    turned, kept = x[..., :size], x[..., size:]
    first, second = turned.chunk(2, dim=-1)
    turned = turned * cos + torch.cat((-second, first), dim=-1) * sin
    return turned if size == x.shape[-1] else torch.cat((turned, kept), dim=-1)
