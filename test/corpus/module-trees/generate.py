"""Writes the `parameters` (and `tied`) of every expected.json from real PyTorch: run after changing a snippet.

    python3 test/corpus/module-trees/generate.py [CASE...]

Each case folder has an expected.json whose other keys are written by hand:
  root        class, factory function or instance to build
  file        the file it is in (default model.py); `model.py` in the case folder is the usual one
  args        keyword arguments for it
  byHand      true: part of the tree is unknown from source, so nothing is generated
Parameters are [name, shape] in state_dict order; `tied` maps a name to the earlier name of the same tensor.
Made with PyTorch 1.13.0. Third-party packages that snippets import are stood in for by the modules in _stubs/.
torchvision-backbone was made with torchvision 0.14 itself.
"""
import importlib
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def describe(case):
    import torch

    if not hasattr(torch.nn.functional, "scaled_dot_product_attention"):
        torch.nn.functional.scaled_dot_product_attention = None  # PyTorch 2 has it, and snippets ask for it
    folder = HERE / case
    expected = json.loads((folder / "expected.json").read_text())
    sys.path[:0] = [str(folder), str(HERE / "_stubs")]
    name = expected.get("file", "model.py")[:-3].replace("/", ".")
    root = getattr(importlib.import_module(name), expected["root"])
    torch.manual_seed(0)
    model = root if isinstance(root, torch.nn.Module) else root(**expected.get("args", {}))
    state = model.state_dict(keep_vars=True)
    seen, tied = {}, {}
    for key, value in state.items():
        if id(value) in seen:
            tied[key] = seen[id(value)]
        seen.setdefault(id(value), key)
    return {"parameters": [[key, list(value.shape)] for key, value in state.items()], "tied": tied}


def write(path, expected):
    """One parameter a line, so that a change of one is a change of one line."""
    parameters = expected.pop("parameters")
    head = json.dumps(expected, indent=1)[:-2]
    rows = ",\n".join("  " + json.dumps(row) for row in parameters)
    path.write_text(head + ',\n "parameters": [' + ("\n" + rows + "\n ]" if rows else "]") + "\n}\n")


def main():
    if len(sys.argv) > 2 and sys.argv[1] == "--one":
        print(json.dumps(describe(sys.argv[2])))
        return 0
    cases = sys.argv[1:] or sorted(p.parent.name for p in HERE.glob("*/expected.json"))
    failed = 0
    for case in cases:
        path = HERE / case / "expected.json"
        expected = json.loads(path.read_text())
        if not expected.get("byHand"):
            # A process of its own, so that the modules of one case are not seen by the next.
            made = subprocess.run([sys.executable, "-W", "ignore", "-B", __file__, "--one", case], capture_output=True, text=True)
            if made.returncode != 0:
                failed += 1
                print(f"{case}: {made.stderr.strip().splitlines()[-1] if made.stderr else 'failed'}")
                continue
            result = json.loads(made.stdout.strip().splitlines()[-1])
            expected["parameters"] = result["parameters"]
            expected.pop("tied", None)
            if result["tied"]:
                expected["tied"] = result["tied"]
        write(path, expected)
    print(f"{len(cases) - failed} of {len(cases)} cases written")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
