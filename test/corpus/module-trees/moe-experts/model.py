import torch
import torch.nn as nn
import torch.nn.functional as F


class Expert(nn.Module):
    def __init__(self, n_embd, mult=2):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(n_embd, mult * n_embd),
            nn.ReLU(),
            nn.Linear(mult * n_embd, n_embd),
            nn.Dropout(0.1),
        )


class NoisyTopkRouter(nn.Module):
    def __init__(self, n_embed, num_experts, top_k):
        super(NoisyTopkRouter, self).__init__()
        self.top_k = top_k
        self.topkroute_linear = nn.Linear(n_embed, num_experts)
        self.noise_linear = nn.Linear(n_embed, num_experts)


class SparseMoE(nn.Module):
    def __init__(self, n_embed, num_experts, top_k, shared=True):
        super(SparseMoE, self).__init__()
        self.router = NoisyTopkRouter(n_embed, num_experts, top_k)
        self.experts = nn.ModuleList([Expert(n_embed) for _ in range(num_experts)])
        self.shared_expert = Expert(n_embed, mult=1) if shared else None
        self.top_k = top_k


class MoEModel(nn.Module):
    def __init__(self, first_dense=1, n_layer=3):
        super().__init__()
        self.layers = nn.ModuleDict({
            str(i): Expert(8) if i < first_dense else SparseMoE(8, num_experts=3, top_k=2, shared=i % 2 == 0)
            for i in range(n_layer)
        })
        self.w = nn.Parameter(torch.empty(3, 8, 2 * 8))
