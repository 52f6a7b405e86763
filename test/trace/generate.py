"""Makes the goldens of the trace tests with PyTorch: seeded weights, inputs and what the model gives for them.

    python3 generate.py [NAME...]

The model is the last class of its file, built with its defaults (a configuration class that its constructor is annotated with
is built with its own). One safetensors file each: state_dict entries under `w.`, inputs `in.N`, outputs `out.N`.
"""
import contextlib
import importlib.util
import inspect
import json
import pathlib
import re
import sys
import zlib
from unittest import mock

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
IMAGE = {"float": (2, 3, 32, 32)}
TOKENS = {"int": (2, 9), "below": 20}
#: Inputs of each model; what is not listed takes IMAGE. `trace` gives the inputs also to the tracer, where they cannot be read off the source.
INPUTS = {
    "lenet": [{"float": (2, 1, 28, 28)}], "mlp_mnist": [{"float": (3, 784)}], "vae": [{"float": (2, 1, 28, 28)}], "gan_generator": [{"float": (2, 8)}],
    "nano_gpt": [TOKENS], "llama_complex": [TOKENS], "llama_real": [TOKENS], "bert": [TOKENS], "lstm_classifier": [TOKENS], "transformer_encoder": [TOKENS],
    "seq2seq_transformer": [TOKENS, {"int": (2, 9), "below": 20}], "gru_seq": [{"float": (2, 7, 5)}], "lstm_cell_loop": [{"float": (2, 4)}],
    "cross_attention": [{"float": (2, 5, 6)}], "einsum_attention": [{"float": (2, 7, 12)}], "einops_vit": [{"float": (2, 3, 16, 16)}],
    "wavenet": [{"float": (2, 1, 128)}], "tcn_weightnorm": [{"float": (2, 2, 128)}], "diffusion_unet": [{"float": (2, 3, 32, 32)}, {"int": (2,), "below": 100}],
    "moe_dense": [{"float": (2, 5, 6)}], "gcn_dense": [{"float": (2, 6, 5)}], "autoencoder_tuple": [{"float": (3, 20)}], "t5_bias": [{"float": (2, 7, 8)}],
    "linear_attention": [{"float": (2, 7, 8)}], "alibi_gqa": [{"float": (2, 11, 16)}], "siamese": [{"float": (2, 1, 28, 28)}, {"float": (2, 1, 28, 28)}],
    "pointnet": [{"float": (2, 3, 128)}], "crnn": [{"float": (2, 1, 16, 24)}], "inplace_views": [{"float": (3, 6)}], "running_products": [{"float": (2, 7, 5)}], "functional_params": [{"float": (3, 4)}],
    "star_unpack": [{"float": (2, 7, 8)}], "autograd_function": [{"float": (3, 6)}],
    "graph_attention": [{"float": (5, 7)}, {"adjacency": 5}], "conditioned_unet": [{"float": (2, 3, 8, 8)}, {"number": 0}, {"int": (2,), "below": 100}, {"float": (2, 5, 6)}],
    "window_reverse": [{"float": (2, 1, 224, 16)}],
    "noisy_vq": [{"float": (3, 10)}], "word_lm": [TOKENS, {"number": None}],
    "row_rnn": [{"float": (2, 1, 12, 12)}], "normed_weights": [{"float": (2, 2, 16)}],
}
#: Shapes that the source does not tell.
GIVEN = {"window_reverse": [["batch", 1, "height", 16]], "normed_weights": [["batch", 2, 16]], "running_products": [["batch", "sequence", 5]], "moe_dense": [["batch", "sequence", 6]], "siamese": [["batch", 1, 28, 28], ["batch", 1, 28, 28]], "vgg_config": [["batch", 3, 32, 32]], "swin_window": [["batch", 3, 32, 32]],
         "gan_generator": [["batch", 8]], "crnn": [["batch", 1, 16, 24]], "gcn_dense": [["batch", 6, 5]], "pointnet": [["batch", 3, 128]], "esrgan_rrdb": [["batch", 3, 8, 8]]}
#: Models that draw noise in use: the tracer takes it at its mean.
NOISY = {"noisy_vq"}
SMALL = {"esrgan_rrdb": [{"float": (2, 3, 8, 8)}]}


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def build(module, root):
    cls = getattr(module, root)
    arguments = []
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        if name != "self" and parameter.default is inspect.Parameter.empty and parameter.kind == parameter.POSITIONAL_OR_KEYWORD:
            arguments.append(parameter.annotation())
    return cls(*arguments)


@contextlib.contextmanager
def at_mean():
    with mock.patch.multiple(torch, randn=torch.zeros, randn_like=torch.zeros_like), mock.patch.object(torch.Tensor, "normal_", lambda self, mean=0.0, std=1.0: self.fill_(mean)):
        yield


def tensor(spec, generator):
    if "number" in spec:
        return spec["number"]
    if "adjacency" in spec:
        joined = torch.rand((spec["adjacency"],) * 2, generator=generator) < 0.5
        return (joined | joined.T | torch.eye(spec["adjacency"]).bool()).float()
    if "int" in spec:
        return torch.randint(1, spec["below"], spec["int"], generator=generator)
    return torch.randn(spec["float"], generator=generator)


def flatten(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in flatten(item)]
    if isinstance(value, (tuple, list)):
        return [leaf for item in value for leaf in flatten(item)]
    return []


def main(names):
    torch.set_num_threads(1)
    manifest = []
    (HERE / "goldens").mkdir(exist_ok=True)
    for path in sorted((HERE / "models").glob("*.py")):
        root = re.findall(r"^class (\w+)", path.read_text(), re.M)[-1]
        specs = SMALL.get(path.stem, INPUTS.get(path.stem, [IMAGE]))
        manifest.append({"name": path.stem, "root": root, **({"shapes": GIVEN[path.stem]} if path.stem in GIVEN else {})})
        if names and path.stem not in names:
            continue
        seed = zlib.crc32(path.stem.encode())
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        model = build(load(path), root).eval()
        with torch.no_grad():
            # Weights that no default would give: ones of a norm and zeros of a bias hide mistakes.
            for name, value in [*model.named_parameters(), *model.named_buffers()]:
                if not value.is_floating_point() or name.endswith(("anchors", "inv_freq", "slopes", ".pe", "attn_mask", "freqs_cis")):
                    continue
                if name.endswith("running_var"):
                    value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
                elif value.dim() <= 1:
                    value.add_(torch.randn(value.shape, generator=generator) * 0.2)
                elif value.abs().max() == 0 or not torch.isfinite(value).all() or value.abs().max() > 10:
                    value.copy_(torch.randn(value.shape, generator=generator) * 0.3)
            inputs = [tensor(spec, generator) for spec in specs]
            with at_mean() if path.stem in NOISY else contextlib.nullcontext():
                outputs = flatten(model(*[each.clone() if isinstance(each, torch.Tensor) else each for each in inputs]))
            inputs = [each for each in inputs if isinstance(each, torch.Tensor)]
        seen = set()
        weights = {}
        for name, value in model.state_dict().items():
            if value.data_ptr() in seen and value.numel() > 1:
                continue  # a tied tensor is stored once
            seen.add(value.data_ptr())
            weights[f"w.{name}"] = value.contiguous().clone()
        save_file({**weights, **{f"in.{i}": each for i, each in enumerate(inputs)}, **{f"out.{i}": each.contiguous().clone() for i, each in enumerate(outputs)}}, HERE / "goldens" / f"{path.stem}.safetensors")
        print(path.stem, root, [tuple(each.shape) for each in outputs])
    (HERE / "models.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
