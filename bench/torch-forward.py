"""Forward passes of PyTorch for bench/torch-forward.ts: torch-forward.py NAME SOURCE WEIGHTS DATA OUT.

Writes the inputs (OUT.in) and outputs (OUT.out) as raw bytes, little-endian, and prints {"seconds": best of 5 forwards, "shape": of
the input, "version": PyTorch's} as one line of JSON.
"""
import importlib.util
import json
import struct
import sys
import time

import numpy as np
import torch

BATCH = 128


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        start = file.tell()
        header.pop("__metadata__", None)
        tensors = {}
        for name, entry in header.items():
            file.seek(start + entry["data_offsets"][0])
            raw = file.read(entry["data_offsets"][1] - entry["data_offsets"][0])
            assert entry["dtype"] == "F32", entry["dtype"]
            tensors[name] = torch.from_numpy(np.frombuffer(raw, "<f4").reshape(entry["shape"]).copy())
    return tensors


def resnet20(source, weights, data):
    net = source.ResNet20()
    state = torch.load(weights, map_location="cpu")["state_dict"]
    net.load_state_dict({name[len("module."):]: value for name, value in state.items()})
    images = torch.from_numpy(np.load(data)[:1000]).permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return net, ((images - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)).contiguous()


def stories260k(source, weights, data):
    net = source.LlamaForCausalLM(source.LlamaConfig())
    missing, unexpected = net.load_state_dict(read_safetensors(weights), strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    return net, torch.from_numpy(np.load(data)).long()


name, source, weights, data, out = sys.argv[1:]
spec = importlib.util.spec_from_file_location("model", source)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
torch.set_num_threads(2)
with torch.inference_mode():
    net, inputs = {"resnet20": resnet20, "stories260k": stories260k}[name](module, weights, data)
    net.eval()
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        outputs = [net(inputs[i:i + BATCH]) for i in range(0, len(inputs), BATCH)]
        best = min(best, time.perf_counter() - started)
inputs.numpy().tofile(out + ".in")
torch.cat(outputs).float().numpy().tofile(out + ".out")
print(json.dumps({"seconds": best, "shape": list(inputs.shape), "version": torch.__version__}))
