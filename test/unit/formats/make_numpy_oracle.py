"""Expected errors of every family and granularity, computed with numpy in float32, for numpy-oracle.json.

Run once with any numpy: python3 make_numpy_oracle.py > numpy-oracle.json
The input is made of a linear congruential generator so that the test can make the same weights without a file.
"""
import json
import sys
import numpy as np

F = np.float32


def weights(rows, cols, seed):
    state = np.uint64(seed)
    out = np.empty(rows * cols, dtype=np.float64)
    with np.errstate(over='ignore'):
        for i in range(rows * cols):
            total = 0.0
            for _ in range(4):
                state = (state * np.uint64(1664525) + np.uint64(1013904223)) % np.uint64(2 ** 32)
                total += float(state) / 2 ** 32 - 0.5
            out[i] = total * (1 + 15 * (i % 53 == 0)) * 0.05
    return out.astype(F).reshape(rows, cols)


def blocks(w, granularity):
    if granularity == 'tensor':
        return w.reshape(1, -1)
    if granularity == 'channel':
        return w
    n = int(granularity[1:])
    return w.reshape(-1, n) if w.shape[1] % n == 0 else w


def int_values(w, bits, symmetry, granularity):
    b = blocks(w, granularity)
    half = 2 ** (bits - 1)
    if symmetry == 'asym':
        low = np.minimum(b.min(axis=1, keepdims=True), F(0))
        high = np.maximum(b.max(axis=1, keepdims=True), F(0))
        scale = ((high - low) / F(2 * half - 1)).astype(F)
        zero = np.clip(np.round((-low / scale).astype(F)), 0, 2 * half - 1)
        q = np.clip(np.round((b / scale).astype(F)) + zero, 0, 2 * half - 1)
        return ((q - zero).astype(F) * scale).astype(F).reshape(w.shape)
    scale = (np.abs(b).max(axis=1, keepdims=True) / F(half - 1)).astype(F)
    low = -half if symmetry == 'sym' else 1 - half
    q = np.clip(np.round((b / scale).astype(F)), low, half - 1).astype(F)
    return (q * scale).astype(F).reshape(w.shape)


def fp8_grid(exponent_bits, mantissa_bits, bias, most):
    values = {0.0}
    for e in range(2 ** exponent_bits):
        for m in range(2 ** mantissa_bits):
            v = m * 2.0 ** (1 - bias - mantissa_bits) if e == 0 else (1 + m / 2 ** mantissa_bits) * 2.0 ** (e - bias)
            if v <= most:
                values.add(v)
    return np.array(sorted(values))


def to_grid(x, grid):
    """Nearest value; a tie goes to the even code, which is the even index."""
    a = np.minimum(np.abs(x.astype(np.float64)), grid[-1])
    above = np.clip(np.searchsorted(grid, a), 1, len(grid) - 1)
    low, high = grid[above - 1], grid[above]
    up = (a - low > high - a) | ((a - low == high - a) & (above % 2 == 0))
    return (np.sign(x) * np.where(up, high, low)).astype(F)


def fp8_values(w, encoding, granularity):
    grid = fp8_grid(4, 3, 7, 448) if encoding == 'e4m3' else fp8_grid(5, 2, 15, 57344)
    b = blocks(w, granularity)
    scale = (np.abs(b).max(axis=1, keepdims=True) / F(grid[-1])).astype(F)
    return (to_grid((b / scale).astype(F), grid) * scale).astype(F).reshape(w.shape)


def bf16_values(w):
    bits = w.view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return rounded.astype(np.uint32).view(F)


def case(name, w, y):
    x = w.astype(np.float64)
    v = y.astype(np.float64)
    e = (w - y).astype(F).astype(np.float64)
    return {
        'format': name, 'mse': float((e * e).mean()),
        'sqnrDb': float(10 * np.log10((x * x).sum() / (e * e).sum())),
        'cosine': float((x * v).sum() / np.sqrt((x * x).sum() * (v * v).sum())),
    }


out = []
for rows, cols, seed in [(8, 256, 1), (5, 100, 2), (3, 384, 3), (16, 27, 4)]:
    w = weights(rows, cols, seed)
    cases = []
    for granularity in ['tensor', 'channel', 'g128', 'g32']:
        for bits in range(2, 9):
            for symmetry in ['sym', 'symr', 'asym']:
                cases.append(case(f'int{bits}-{symmetry}-{granularity}', w, int_values(w, bits, symmetry, granularity)))
        for encoding in ['e4m3', 'e5m2']:
            cases.append(case(f'fp8-{encoding}-{granularity}', w, fp8_values(w, encoding, granularity)))
    cases.append(case('bf16', w, bf16_values(w)))
    cases.append(case('fp16', w, w.astype(np.float16).astype(F)))
    out.append({'rows': rows, 'cols': cols, 'seed': seed, 'cases': cases})
json.dump(out, sys.stdout)
