"""RoBERTa (and XLM-RoBERTa, CamemBERT, of the same names): BERT with positions counted from behind the padding's number, and its own heads."""
import torch
import torch.nn as nn

from bert import BertConfig, BertModel
from decoder import gelu_exact


class RobertaConfig(BertConfig):
    def __init__(self, vocab_size=50265, pad_token_id=1, **others):
        super().__init__(vocab_size=vocab_size, pad_token_id=pad_token_id, **others)
        self.position_offset = pad_token_id


class RobertaModel(BertModel):
    def __init__(self, config: RobertaConfig, add_pooling_layer=True):
        super().__init__(config, add_pooling_layer)


class RobertaLMHead(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)
        if config.tie_word_embeddings:
            self.decoder.bias = self.bias

    def forward(self, x):
        return self.decoder(self.layer_norm(gelu_exact(self.dense(x))))


class RobertaForMaskedLM(nn.Module):
    def __init__(self, config: RobertaConfig):
        super().__init__()
        self.roberta = RobertaModel(config, add_pooling_layer=False)
        self.lm_head = RobertaLMHead(config)
        if config.tie_word_embeddings:
            self.lm_head.decoder.weight = self.roberta.embeddings.word_embeddings.weight

    def forward(self, input_ids):
        return self.lm_head(self.roberta(input_ids)[0])


class RobertaClassificationHead(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, x):
        return self.out_proj(torch.tanh(self.dense(x[:, 0])))


class RobertaForSequenceClassification(nn.Module):
    def __init__(self, config: RobertaConfig):
        super().__init__()
        self.roberta = RobertaModel(config, add_pooling_layer=False)
        self.classifier = RobertaClassificationHead(config)

    def forward(self, input_ids):
        return self.classifier(self.roberta(input_ids)[0])


class RobertaForTokenClassification(nn.Module):
    def __init__(self, config: RobertaConfig):
        super().__init__()
        self.roberta = RobertaModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, input_ids):
        return self.classifier(self.roberta(input_ids)[0])


class RobertaForQuestionAnswering(nn.Module):
    """Logits of the start and the end of the answer."""

    def __init__(self, config: RobertaConfig):
        super().__init__()
        self.roberta = RobertaModel(config, add_pooling_layer=False)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)

    def forward(self, input_ids):
        logits = self.qa_outputs(self.roberta(input_ids)[0])
        return logits[..., 0], logits[..., 1]
