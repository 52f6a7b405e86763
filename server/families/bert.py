"""BERT: learned positions, norms after each half, attention both ways over every token given (padding is not masked)."""
import torch
import torch.nn as nn

from decoder import activation, attend, split_heads


class BertConfig:
    def __init__(self, vocab_size=30522, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072, hidden_act="gelu",
                 max_position_embeddings=512, type_vocab_size=2, layer_norm_eps=1e-12, pad_token_id=0, tie_word_embeddings=True, num_labels=2,
                 id2label=None, position_embedding_type="absolute", is_decoder=False, add_cross_attention=False,
                 norm_parameters=None, **others):
        self.vocab_size, self.hidden_size, self.intermediate_size = vocab_size, hidden_size, intermediate_size
        self.num_hidden_layers, self.num_attention_heads, self.hidden_act = num_hidden_layers, num_attention_heads, hidden_act
        self.max_position_embeddings, self.type_vocab_size = max_position_embeddings, type_vocab_size
        self.layer_norm_eps, self.pad_token_id, self.tie_word_embeddings = layer_norm_eps, pad_token_id, tie_word_embeddings
        self.num_labels = len(id2label) if id2label else num_labels
        self.position_offset = None
        self.position_embedding_type, self.decodes = position_embedding_type or "absolute", is_decoder or add_cross_attention
        self.old_norms = norm_parameters == "gamma"


class OldLayerNorm(nn.Module):
    """A layer norm whose parameters bear the names that TensorFlow gave them, as the first published BERT checkpoints have them."""

    def __init__(self, size, eps):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(size))
        self.beta = nn.Parameter(torch.zeros(size))
        self.eps = eps

    def forward(self, x):
        return nn.functional.layer_norm(x, (x.shape[-1],), self.gamma, self.beta, self.eps)


def layer_norm(config):
    if config.old_norms:
        return OldLayerNorm(config.hidden_size, config.layer_norm_eps)
    return nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)


class BertEmbeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = layer_norm(config)
        self.pad = config.position_offset

    def positions(self, input_ids):
        """From 0 on; for RoBERTa from behind the padding's number on, padding not counted."""
        if self.pad is None:
            return torch.arange(input_ids.shape[1])
        given = (input_ids != self.pad).long()
        return torch.cumsum(given, dim=1) * given + self.pad

    def forward(self, input_ids):
        x = self.word_embeddings(input_ids) + self.token_type_embeddings(torch.zeros_like(input_ids))
        return self.LayerNorm(x + self.position_embeddings(self.positions(input_ids)))


class BertSelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.size = config.hidden_size // config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x):
        q, k, v = split_heads(self.query(x), self.size), split_heads(self.key(x), self.size), split_heads(self.value(x), self.size)
        return attend(q, k, v, None, self.size ** -0.5)


class BertOutput(nn.Module):
    """The end of each half: back to the model's width, added to what came in, normed."""

    def __init__(self, config, width):
        super().__init__()
        self.dense = nn.Linear(width, config.hidden_size)
        self.LayerNorm = layer_norm(config)

    def forward(self, x, before):
        return self.LayerNorm(self.dense(x) + before)


class BertAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.self = BertSelfAttention(config)
        self.output = BertOutput(config, config.hidden_size)

    def forward(self, x):
        return self.output(self.self(x), x)


class BertIntermediate(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.act = activation(config.hidden_act)

    def forward(self, x):
        return self.act(self.dense(x))


class BertLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention = BertAttention(config)
        self.intermediate = BertIntermediate(config)
        self.output = BertOutput(config, config.intermediate_size)

    def forward(self, x):
        x = self.attention(x)
        return self.output(self.intermediate(x), x)


class BertEncoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layer = nn.ModuleList([BertLayer(config) for _ in range(config.num_hidden_layers)])

    def forward(self, x):
        for layer in self.layer:
            x = layer(x)
        return x


class BertPooler(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x):
        return torch.tanh(self.dense(x[:, 0]))


class BertModel(nn.Module):
    """Gives the hidden states, and the pooled first one where there is a pooler."""

    def __init__(self, config: BertConfig, add_pooling_layer=True):
        super().__init__()
        if config.position_embedding_type != "absolute":
            raise ValueError(f"positions of the kind {config.position_embedding_type} are not built in: absolute ones are")
        if config.decodes:
            raise ValueError("not built in: BERT as decoder")
        self.embeddings = BertEmbeddings(config)
        self.encoder = BertEncoder(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None

    def forward(self, input_ids):
        x = self.encoder(self.embeddings(input_ids))
        return (x, self.pooler(x)) if self.pooler is not None else (x,)


class BertPredictionHeadTransform(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.act = activation(config.hidden_act)
        self.LayerNorm = layer_norm(config)

    def forward(self, x):
        return self.LayerNorm(self.act(self.dense(x)))


class BertLMPredictionHead(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.transform = BertPredictionHeadTransform(config)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)
        if config.tie_word_embeddings:
            self.decoder.bias = self.bias

    def forward(self, x):
        return self.decoder(self.transform(x))


class BertHeads(nn.Module):
    def __init__(self, config, pair):
        super().__init__()
        self.predictions = BertLMPredictionHead(config)
        if pair:
            self.seq_relationship = nn.Linear(config.hidden_size, 2)


class BertForMaskedLM(nn.Module):
    def __init__(self, config: BertConfig):
        super().__init__()
        self.bert = BertModel(config, add_pooling_layer=False)
        self.cls = BertHeads(config, pair=False)
        if config.tie_word_embeddings:
            self.cls.predictions.decoder.weight = self.bert.embeddings.word_embeddings.weight

    def forward(self, input_ids):
        return self.cls.predictions(self.bert(input_ids)[0])


class BertForPreTraining(nn.Module):
    def __init__(self, config: BertConfig):
        super().__init__()
        self.bert = BertModel(config)
        self.cls = BertHeads(config, pair=True)
        if config.tie_word_embeddings:
            self.cls.predictions.decoder.weight = self.bert.embeddings.word_embeddings.weight

    def forward(self, input_ids):
        x, pooled = self.bert(input_ids)
        return self.cls.predictions(x), self.cls.seq_relationship(pooled)


class BertForSequenceClassification(nn.Module):
    def __init__(self, config: BertConfig):
        super().__init__()
        self.bert = BertModel(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, input_ids):
        return self.classifier(self.bert(input_ids)[1])


class BertForTokenClassification(nn.Module):
    def __init__(self, config: BertConfig):
        super().__init__()
        self.bert = BertModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, input_ids):
        return self.classifier(self.bert(input_ids)[0])


class BertForQuestionAnswering(nn.Module):
    """Logits of the start and the end of the answer."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.bert = BertModel(config, add_pooling_layer=False)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)

    def forward(self, input_ids):
        logits = self.qa_outputs(self.bert(input_ids)[0])
        return logits[..., 0], logits[..., 1]
