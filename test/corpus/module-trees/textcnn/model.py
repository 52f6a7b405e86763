import torch
import torch.nn as nn


class Config(object):
    def __init__(self, dataset='x', embedding='random'):
        self.model_name = 'TextCNN'
        self.class_list = ['a', 'b', 'c']
        self.num_classes = len(self.class_list)
        self.n_vocab = 50
        self.embed = 12
        self.filter_sizes = (2, 3, 4)
        self.num_filters = 5
        self.embedding_pretrained = None
        self.save_path = dataset + '/saved/' + self.model_name + '.ckpt'


class TextCNN(nn.Module):
    def __init__(self, config=Config()):
        super().__init__()
        if config.embedding_pretrained is not None:
            self.embedding = nn.Embedding.from_pretrained(config.embedding_pretrained, freeze=False)
        else:
            self.embedding = nn.Embedding(config.n_vocab, config.embed, padding_idx=config.n_vocab - 1)
        self.convs = nn.ModuleList([nn.Conv2d(1, config.num_filters, (k, config.embed)) for k in config.filter_sizes])
        self.fc = nn.Linear(config.num_filters * len(config.filter_sizes), config.num_classes)
