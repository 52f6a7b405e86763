"""DistilBERT: BERT without token types and pooler, under names of its own."""
import torch
import torch.nn as nn

from decoder import activation, attend, split_heads


class DistilBertConfig:
    def __init__(self, vocab_size=30522, max_position_embeddings=512, n_layers=6, n_heads=12, dim=768, hidden_dim=3072, activation="gelu",
                 tie_word_embeddings=True, tie_weights_=True, num_labels=2, id2label=None, **others):
        self.vocab_size, self.max_position_embeddings = vocab_size, max_position_embeddings
        self.n_layers, self.n_heads, self.dim, self.hidden_dim, self.activation = n_layers, n_heads, dim, hidden_dim, activation
        self.tie_word_embeddings = tie_word_embeddings and tie_weights_
        self.num_labels = len(id2label) if id2label else num_labels


class Embeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.dim)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.dim)
        self.LayerNorm = nn.LayerNorm(config.dim, eps=1e-12)

    def forward(self, input_ids):
        return self.LayerNorm(self.word_embeddings(input_ids) + self.position_embeddings(torch.arange(input_ids.shape[1])))


class DistilBertAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.size = config.dim // config.n_heads
        self.q_lin = nn.Linear(config.dim, config.dim)
        self.k_lin = nn.Linear(config.dim, config.dim)
        self.v_lin = nn.Linear(config.dim, config.dim)
        self.out_lin = nn.Linear(config.dim, config.dim)

    def forward(self, x):
        q, k, v = split_heads(self.q_lin(x), self.size), split_heads(self.k_lin(x), self.size), split_heads(self.v_lin(x), self.size)
        return self.out_lin(attend(q, k, v, None, self.size ** -0.5))


class FFN(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.lin1 = nn.Linear(config.dim, config.hidden_dim)
        self.lin2 = nn.Linear(config.hidden_dim, config.dim)
        self.act = activation(config.activation)

    def forward(self, x):
        return self.lin2(self.act(self.lin1(x)))


class TransformerBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention = DistilBertAttention(config)
        self.sa_layer_norm = nn.LayerNorm(config.dim, eps=1e-12)
        self.ffn = FFN(config)
        self.output_layer_norm = nn.LayerNorm(config.dim, eps=1e-12)

    def forward(self, x):
        x = self.sa_layer_norm(self.attention(x) + x)
        return self.output_layer_norm(self.ffn(x) + x)


class Transformer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layer = nn.ModuleList([TransformerBlock(config) for _ in range(config.n_layers)])

    def forward(self, x):
        for block in self.layer:
            x = block(x)
        return x


class DistilBertModel(nn.Module):
    def __init__(self, config: DistilBertConfig):
        super().__init__()
        self.embeddings = Embeddings(config)
        self.transformer = Transformer(config)

    def forward(self, input_ids):
        return self.transformer(self.embeddings(input_ids))


class DistilBertForMaskedLM(nn.Module):
    def __init__(self, config: DistilBertConfig):
        super().__init__()
        self.distilbert = DistilBertModel(config)
        self.vocab_transform = nn.Linear(config.dim, config.dim)
        self.vocab_layer_norm = nn.LayerNorm(config.dim, eps=1e-12)
        self.vocab_projector = nn.Linear(config.dim, config.vocab_size)
        self.act = activation(config.activation)
        if config.tie_word_embeddings:
            self.vocab_projector.weight = self.distilbert.embeddings.word_embeddings.weight

    def forward(self, input_ids):
        x = self.vocab_layer_norm(self.act(self.vocab_transform(self.distilbert(input_ids))))
        return self.vocab_projector(x)


class DistilBertForSequenceClassification(nn.Module):
    def __init__(self, config: DistilBertConfig):
        super().__init__()
        self.distilbert = DistilBertModel(config)
        self.pre_classifier = nn.Linear(config.dim, config.dim)
        self.classifier = nn.Linear(config.dim, config.num_labels)

    def forward(self, input_ids):
        return self.classifier(torch.relu(self.pre_classifier(self.distilbert(input_ids)[:, 0])))


class DistilBertForTokenClassification(nn.Module):
    def __init__(self, config: DistilBertConfig):
        super().__init__()
        self.distilbert = DistilBertModel(config)
        self.classifier = nn.Linear(config.dim, config.num_labels)

    def forward(self, input_ids):
        return self.classifier(self.distilbert(input_ids))


class DistilBertForQuestionAnswering(nn.Module):
    """Logits of the start and the end of the answer."""

    def __init__(self, config: DistilBertConfig):
        super().__init__()
        self.distilbert = DistilBertModel(config)
        self.qa_outputs = nn.Linear(config.dim, 2)

    def forward(self, input_ids):
        logits = self.qa_outputs(self.distilbert(input_ids))
        return logits[..., 0], logits[..., 1]
