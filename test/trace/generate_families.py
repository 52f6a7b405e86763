"""Makes the goldens of the built-in families with PyTorch and transformers: tiny published models and what they give.

    python3 generate_families.py [NAME...]

Each folder of families/ is a model as save_pretrained writes it (config.json, model.safetensors; of `old` ones config.json in the
words of transformers 4) with expected.safetensors: inputs `in.0` and outputs `out.N`.
"""
import json
import pathlib
import shutil
import sys
import zlib

import torch
import transformers as t
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent / "families"
SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 31,
         "max_position_embeddings": 64, "pad_token_id": None, "bos_token_id": 1, "eos_token_id": 2}
ENCODER = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 31, "max_position_embeddings": 32}
PICTURES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 16, "patch_size": 4, "num_labels": 5}


def rope(kind, **values):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 500.0, **values}}


YARN = dict(factor=4.0, original_max_position_embeddings=16)
LLAMA3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
LONG = dict(short_factor=[1.0, 1.3], long_factor=[2.0, 5.0])
CASES = {
    "llama": (t.LlamaConfig, t.LlamaForCausalLM, {**SMALL, "attention_bias": True, "mlp_bias": True}),
    "llama_linear": (t.LlamaConfig, t.LlamaForCausalLM, {**SMALL, "tie_word_embeddings": True, **rope("linear", factor=2.0)}),
    "llama_dynamic": (t.LlamaConfig, t.LlamaForCausalLM, {**SMALL, "max_position_embeddings": 6, **rope("dynamic", factor=2.0)}),
    "llama_yarn": (t.LlamaConfig, t.LlamaForCausalLM, {**SMALL, "num_attention_heads": 2, **rope("yarn", **YARN)}),
    "llama_llama3": (t.LlamaConfig, t.LlamaModel, {**SMALL, "num_attention_heads": 2, "head_dim": 12, **rope("llama3", **LLAMA3)}),
    "mistral": (t.MistralConfig, t.MistralForCausalLM, {**SMALL, "sliding_window": 4}),
    "qwen2": (t.Qwen2Config, t.Qwen2ForCausalLM, {**SMALL, "use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1, "tie_word_embeddings": True}),
    "qwen3": (t.Qwen3Config, t.Qwen3ForCausalLM, {**SMALL, "head_dim": 6}),
    "gemma": (t.GemmaConfig, t.GemmaForCausalLM, {**SMALL, "head_dim": 6}),
    "gemma2": (t.Gemma2Config, t.Gemma2ForCausalLM, {**SMALL, "head_dim": 6, "sliding_window": 4, "query_pre_attn_scalar": 9, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}),
    "gemma3": (t.Gemma3TextConfig, t.Gemma3ForCausalLM, {**SMALL, "num_hidden_layers": 3, "head_dim": 6, "sliding_window": 4, "query_pre_attn_scalar": 9,
               "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
               "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 700.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 90.0}}}),
    "phi": (t.PhiConfig, t.PhiForCausalLM, {**SMALL, "qk_layernorm": True}),
    "phi3": (t.Phi3Config, t.Phi3ForCausalLM, {**SMALL, "original_max_position_embeddings": 16, "sliding_window": 5, "num_attention_heads": 4, **rope("longrope", **LONG)}),
    "phi3_long": (t.Phi3Config, t.Phi3ForCausalLM, {**SMALL, "num_hidden_layers": 1, "original_max_position_embeddings": 8, **rope("longrope", **LONG)}),
    "gpt2": (t.GPT2Config, t.GPT2LMHeadModel, {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 32, "vocab_size": 31, "scale_attn_by_inverse_layer_idx": True}),
    "gpt_neox": (t.GPTNeoXConfig, t.GPTNeoXForCausalLM, {**ENCODER, "bos_token_id": 1, "eos_token_id": 2, "rotary_pct": 0.5}),
    "gpt_neox_sequential": (t.GPTNeoXConfig, t.GPTNeoXModel, {**ENCODER, "bos_token_id": 1, "eos_token_id": 2, "num_hidden_layers": 1, "use_parallel_residual": False, "attention_bias": False}),
    "bert": (t.BertConfig, t.BertForPreTraining, {**ENCODER, "num_hidden_layers": 1}),
    "bert_masked": (t.BertConfig, t.BertForMaskedLM, {**ENCODER, "num_hidden_layers": 1, "tie_word_embeddings": False}),
    "bert_classes": (t.BertConfig, t.BertForSequenceClassification, {**ENCODER, "num_labels": 3, "num_hidden_layers": 1}),
    "bert_tokens": (t.BertConfig, t.BertForTokenClassification, {**ENCODER, "num_labels": 4, "num_hidden_layers": 1}),
    "roberta": (t.RobertaConfig, t.RobertaForMaskedLM, {**ENCODER, "num_hidden_layers": 1, "pad_token_id": 1}),
    "roberta_classes": (t.RobertaConfig, t.RobertaForSequenceClassification, {**ENCODER, "num_labels": 3, "num_hidden_layers": 1}),
    "xlm_roberta": (t.XLMRobertaConfig, t.XLMRobertaForTokenClassification, {**ENCODER, "num_labels": 3, "num_hidden_layers": 1}),
    "distilbert": (t.DistilBertConfig, t.DistilBertForMaskedLM, {"dim": 16, "hidden_dim": 24, "n_layers": 1, "n_heads": 4, "vocab_size": 31, "max_position_embeddings": 32}),
    "distilbert_classes": (t.DistilBertConfig, t.DistilBertForSequenceClassification, {"dim": 16, "hidden_dim": 24, "n_layers": 1, "n_heads": 4, "vocab_size": 31, "max_position_embeddings": 32, "num_labels": 3}),
    "distilbert_answers": (t.DistilBertConfig, t.DistilBertForQuestionAnswering, {"dim": 16, "hidden_dim": 24, "n_layers": 1, "n_heads": 4, "vocab_size": 31, "max_position_embeddings": 32}),
    "vit": (t.ViTConfig, t.ViTForImageClassification, PICTURES),
    "vit_features": (t.ViTConfig, t.ViTModel, {**PICTURES, "qkv_bias": False, "num_hidden_layers": 1}),
    "deit": (t.DeiTConfig, t.DeiTForImageClassification, {**PICTURES, "num_hidden_layers": 1, "image_size": 20}),
    "deit_teacher": (t.DeiTConfig, t.DeiTForImageClassificationWithTeacher, {**PICTURES, "num_hidden_layers": 1}),
    "resnet": (t.ResNetConfig, t.ResNetForImageClassification, {"embedding_size": 4, "hidden_sizes": [8, 16], "depths": [1, 2], "num_labels": 5}),
    "resnet_basic": (t.ResNetConfig, t.ResNetForImageClassification, {"embedding_size": 4, "hidden_sizes": [4, 8], "depths": [2, 1], "layer_type": "basic", "downsample_in_first_stage": True, "num_labels": 5}),
    "resnet_early": (t.ResNetConfig, t.ResNetModel, {"embedding_size": 4, "hidden_sizes": [8, 16], "depths": [1, 1], "downsample_in_bottleneck": True, "hidden_act": "gelu"}),
}


def old_words(config):
    """The same configuration as transformers 4 wrote it."""
    values = config.pop("rope_parameters", None)
    if values is None:
        return config
    if "full_attention" in values:
        config["rope_local_base_freq"] = values["sliding_attention"]["rope_theta"]
        values = values["full_attention"]
    theta, partial, kind = values.pop("rope_theta"), values.pop("partial_rotary_factor", None), values.pop("rope_type")
    neox = config["model_type"] == "gpt_neox"
    config["rotary_emb_base" if neox else "rope_theta"] = theta
    if partial is not None:
        config["rotary_pct" if neox else "partial_rotary_factor"] = partial
    config["rope_scaling"] = None if kind == "default" else {"type": kind, **values}
    return config


OLD = {"llama_linear", "llama_yarn", "gemma3", "phi", "phi3", "gpt_neox"}


def tensors(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return [leaf for name, item in value.items() if name != "past_key_values" for leaf in tensors(item)]
    return [leaf for item in value for leaf in tensors(item)] if isinstance(value, (tuple, list)) else []


def main(names):
    torch.set_num_threads(1)
    for name, (configuration, cls, values) in CASES.items():
        if names and name not in names:
            continue
        seed = zlib.crc32(name.encode())
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        config = configuration(**values)
        config._attn_implementation = "eager"
        model = cls(config).eval()
        with torch.no_grad():
            for own, value in [*model.named_parameters(), *((key, item) for key, item in model.named_buffers() if key.endswith(("running_mean", "running_var")))]:
                noise = torch.randn(value.shape, generator=generator)
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5 if own.endswith("running_var") else value + 0.2 * noise if value.dim() <= 1 else 0.3 * noise)
            picture = "image_size" in values or "depths" in values
            given = torch.randn((2, 3, *[values.get("image_size", 32)] * 2), generator=generator) if picture else torch.randint(3, 31, (2, 9), generator=generator)
            if "roberta" in name:
                given[0, 6:] = 1  # padding has a position of its own
            made = tensors(dict(model(given, **({} if picture else {"use_cache": False} if "ForCausalLM" in cls.__name__ else {}))))
        if cls.__name__ == "DeiTForImageClassificationWithTeacher":
            made = made[:1]
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        for other in folder.iterdir():
            if other.name not in ("config.json", "model.safetensors"):
                other.unlink()
        written = json.loads((folder / "config.json").read_text())
        for word in ("transformers_version", "label2id"):
            written.pop(word, None)
        (folder / "config.json").write_text(json.dumps(old_words(written) if name in OLD else written, indent=1) + "\n")
        stored = load_file(folder / "model.safetensors")
        save_file({key: item for key, item in stored.items() if item.dtype != torch.int64}, folder / "model.safetensors")
        save_file({"in.0": given, **{f"out.{i}": each.contiguous().clone() for i, each in enumerate(made)}}, folder / "expected.safetensors")
        print(name, [tuple(each.shape) for each in made])


if __name__ == "__main__":
    main(sys.argv[1:])
