"""Makes the goldens of the gradient tests with PyTorch: for some models of models/, the gradient of every parameter.

    python3 generate_gradients.py

Weights and inputs are those of goldens/; the loss is the sum over all floating-point outputs of the mean of their squares. One
safetensors file each: the gradients by the names of their parameters under `g.`, and `loss`.
"""
import json

import torch
from safetensors.torch import load_file, save_file

from generate import HERE, build, flatten, load

MODELS = ["alibi_gqa", "cross_attention", "densenet", "diffusion_unet", "einsum_attention", "functional_params", "gcn_dense", "graph_attention", "linear_attention", "lenet", "llama_real", "mobilenet_v2",
          "mlp_mnist", "moe_dense", "pointnet", "siamese", "shufflenet", "swin_window", "t5_bias", "tcn_weightnorm", "wavenet"]


def main():
    torch.set_num_threads(1)
    roots = {entry["name"]: entry["root"] for entry in json.loads((HERE / "models.json").read_text())}
    (HERE / "gradients").mkdir(exist_ok=True)
    for name in MODELS:
        golden = load_file(HERE / "goldens" / f"{name}.safetensors")
        model = build(load(HERE / "models" / f"{name}.py"), roots[name]).eval()
        model.load_state_dict({key[2:]: value for key, value in golden.items() if key.startswith("w.")}, strict=False)
        inputs = [golden[f"in.{i}"] for i in range(sum(key.startswith("in.") for key in golden))]
        outputs = flatten(model(*inputs))
        loss = sum((output.float() ** 2).mean() for output in outputs if output.is_floating_point())
        loss.backward()
        gradients = {f"g.{key}": value.grad.contiguous().clone() for key, value in model.named_parameters() if value.grad is not None and key in {each[2:] for each in golden}}
        save_file({**gradients, "loss": loss.detach().reshape(1)}, HERE / "gradients" / f"{name}.safetensors")
        print(name, loss.item(), len(gradients))


main()
