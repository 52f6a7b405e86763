import torch.nn as nn
from transformers import AutoModel, AutoConfig


class Classifier(nn.Module):
    def __init__(self, name='bert-base-uncased', num_labels=2):
        super().__init__()
        config = AutoConfig.from_pretrained(name)
        self.bert = AutoModel.from_pretrained(name, config=config)  # <- bert
        self.dropout = nn.Dropout(0.1)
        self.dropoutless = nn.Linear(768, num_labels)
        self.pool = nn.Linear(self.bert.config.hidden_size, 1, bias=False)
