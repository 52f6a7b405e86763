"""Trains the example on a text file and writes weights.safetensors and tokens_*.npy.

    python3 train.py --text tinyshakespeare.txt --steps 1600

Needs PyTorch and NumPy only; Bitlens itself needs neither.
"""
import argparse
import json
import math
import struct
import time

import numpy as np
import torch
import torch.nn.functional as F

from model import GPT, GPTConfig


def save_safetensors(path, tensors, metadata):
    """Writes float32 tensors in the safetensors layout: u64 header length, JSON header, data."""
    header, offset = {"__metadata__": metadata}, 0
    for name, tensor in tensors.items():
        size = tensor.numel() * 4
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(encoded)))
        file.write(encoded)
        for tensor in tensors.values():
            file.write(tensor.detach().contiguous().to(torch.float32).numpy().tobytes())


def batches(data, config, batch_size, generator):
    starts = torch.randint(len(data) - config.block_size - 1, (batch_size,), generator=generator)
    x = torch.stack([data[s : s + config.block_size] for s in starts])
    y = torch.stack([data[s + 1 : s + 1 + config.block_size] for s in starts])
    return x, y


@torch.no_grad()
def mean_loss(model, rows):
    model.eval()
    losses = [F.cross_entropy(model(r[:, :-1]).flatten(0, 1), r[:, 1:].flatten()).item() for r in rows.split(16)]
    model.train()
    return sum(losses) / len(losses)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", required=True)
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    torch.manual_seed(1337)
    torch.set_num_threads(args.threads)
    generator = torch.Generator().manual_seed(1337)
    text = open(args.text, encoding="utf-8").read()
    vocabulary = sorted(set(text))
    index = {c: i for i, c in enumerate(vocabulary)}
    tokens = torch.tensor([index[c] for c in text], dtype=torch.long)
    split = int(0.9 * len(tokens))
    train, held_out = tokens[:split], tokens[split:]

    config = GPTConfig(vocab_size=len(vocabulary))
    model = GPT(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, betas=(0.9, 0.95), weight_decay=0.1)
    rows = held_out[: 64 * 128].view(64, 128)
    start = time.time()
    for step in range(args.steps):
        warm = min(1.0, (step + 1) / 100)
        lr = args.lr * warm * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * step / args.steps)))
        for group in optimizer.param_groups:
            group["lr"] = lr
        x, y = batches(train, config, args.batch, generator)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0 or step == args.steps - 1:
            print(f"step {step} loss {loss.item():.4f} held-out {mean_loss(model, rows):.4f} {time.time() - start:.0f}s", flush=True)

    # The output head shares the embedding's tensor, and safetensors keeps a tensor once.
    state = {name: t for name, t in model.state_dict().items() if name != "head.weight"}
    save_safetensors("weights.safetensors", state, {"format": "pt", "held_out_loss": f"{mean_loss(model, rows):.4f}"})
    np.save("tokens_calibration.npy", train[: 64 * 128].view(64, 128).numpy())
    np.save("tokens_eval.npy", rows.numpy())


if __name__ == "__main__":
    main()
