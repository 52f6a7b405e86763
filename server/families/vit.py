"""ViT: pictures cut into patches, a class token in front, norms before each half."""
import torch
import torch.nn as nn

from decoder import activation, attend, split_heads


class ViTConfig:
    def __init__(self, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072, hidden_act="gelu", layer_norm_eps=1e-12,
                 image_size=224, patch_size=16, num_channels=3, qkv_bias=True, pooler_output_size=None, pooler_act="tanh", num_labels=2, id2label=None, **others):
        self.hidden_size, self.num_hidden_layers, self.num_attention_heads = hidden_size, num_hidden_layers, num_attention_heads
        self.intermediate_size, self.hidden_act, self.layer_norm_eps = intermediate_size, hidden_act, layer_norm_eps
        self.patch_size, self.num_channels, self.qkv_bias = patch_size, num_channels, qkv_bias
        height, width = image_size if isinstance(image_size, (list, tuple)) else (image_size, image_size)
        rows, columns = patch_size if isinstance(patch_size, (list, tuple)) else (patch_size, patch_size)
        self.height, self.width = height, width
        self.patches = (height // rows) * (width // columns)
        self.pooler_output_size, self.pooler_act = pooler_output_size or hidden_size, pooler_act
        self.num_labels = len(id2label) if id2label else num_labels
        self.distilled = False


class PatchEmbeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.projection = nn.Conv2d(config.num_channels, config.hidden_size, kernel_size=config.patch_size, stride=config.patch_size)

    def forward(self, pixel_values):
        return self.projection(pixel_values).flatten(2).transpose(1, 2)


class ViTEmbeddings(nn.Module):
    """Tokens in front are the class token and, of a distilled model, the teacher's."""

    def __init__(self, config):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.distilled = config.distilled
        if config.distilled:
            self.distillation_token = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.patch_embeddings = PatchEmbeddings(config)
        self.position_embeddings = nn.Parameter(torch.zeros(1, config.patches + (2 if config.distilled else 1), config.hidden_size))
        self.height, self.width, self.image_size = config.height, config.width, config.height

    def forward(self, pixel_values):
        batch, _, height, width = pixel_values.shape
        if height != self.height or width != self.width:
            raise ValueError(f"pictures of {self.height} x {self.width} pixels are expected")
        tokens = [self.cls_token.expand(batch, -1, -1)]
        if self.distilled:
            tokens.append(self.distillation_token.expand(batch, -1, -1))
        return torch.cat(tokens + [self.patch_embeddings(pixel_values)], dim=1) + self.position_embeddings


class ViTSelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.size = config.hidden_size // config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size, bias=config.qkv_bias)
        self.key = nn.Linear(config.hidden_size, config.hidden_size, bias=config.qkv_bias)
        self.value = nn.Linear(config.hidden_size, config.hidden_size, bias=config.qkv_bias)

    def forward(self, x):
        q, k, v = split_heads(self.query(x), self.size), split_heads(self.key(x), self.size), split_heads(self.value(x), self.size)
        return attend(q, k, v, None, self.size ** -0.5)


class Dense(nn.Module):
    """A linear layer under the name `dense`, and what follows it."""

    def __init__(self, inputs, outputs, act=None):
        super().__init__()
        self.dense = nn.Linear(inputs, outputs)
        self.act = activation(act) if act else nn.Identity()

    def forward(self, x):
        return self.act(self.dense(x))


class ViTAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention = ViTSelfAttention(config)
        self.output = Dense(config.hidden_size, config.hidden_size)

    def forward(self, x):
        return self.output(self.attention(x))


class ViTLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention = ViTAttention(config)
        self.intermediate = Dense(config.hidden_size, config.intermediate_size, config.hidden_act)
        self.output = Dense(config.intermediate_size, config.hidden_size)
        self.layernorm_before = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.layernorm_after = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x):
        x = x + self.attention(self.layernorm_before(x))
        return x + self.output(self.intermediate(self.layernorm_after(x)))


class ViTEncoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layer = nn.ModuleList([ViTLayer(config) for _ in range(config.num_hidden_layers)])

    def forward(self, x):
        for layer in self.layer:
            x = layer(x)
        return x


class ViTModel(nn.Module):
    """Gives the hidden states, and the pooled first one where there is a pooler."""

    def __init__(self, config: ViTConfig, add_pooling_layer=True):
        super().__init__()
        self.embeddings = ViTEmbeddings(config)
        self.encoder = ViTEncoder(config)
        self.layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.pooler = Dense(config.hidden_size, config.pooler_output_size, config.pooler_act) if add_pooling_layer else None

    def forward(self, pixel_values):
        x = self.layernorm(self.encoder(self.embeddings(pixel_values)))
        return (x, self.pooler(x[:, 0])) if self.pooler is not None else (x,)


class ViTForImageClassification(nn.Module):
    def __init__(self, config: ViTConfig):
        super().__init__()
        self.vit = ViTModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels) if config.num_labels > 0 else nn.Identity()

    def forward(self, pixel_values):
        return self.classifier(self.vit(pixel_values)[0][:, 0])
