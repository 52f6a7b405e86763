"""Stands in for transformers.activations."""
from torch import nn

ACT2FN = {"gelu_new": nn.GELU(), "silu": nn.SiLU(), "relu": nn.ReLU()}
