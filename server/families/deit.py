"""DeiT: ViT with a second token in front, which learned from a teacher."""
import torch.nn as nn

from vit import ViTConfig, ViTModel


class DeiTConfig(ViTConfig):
    def __init__(self, **others):
        super().__init__(**others)
        self.distilled = True


class DeiTModel(ViTModel):
    def __init__(self, config: DeiTConfig, add_pooling_layer=True):
        super().__init__(config, add_pooling_layer)


class DeiTForImageClassification(nn.Module):
    def __init__(self, config: DeiTConfig):
        super().__init__()
        self.deit = DeiTModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, pixel_values):
        return self.classifier(self.deit(pixel_values)[0][:, 0])


class DeiTForImageClassificationWithTeacher(nn.Module):
    """The mean of what the two tokens say."""

    def __init__(self, config: DeiTConfig):
        super().__init__()
        self.deit = DeiTModel(config, add_pooling_layer=False)
        self.cls_classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.distillation_classifier = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, pixel_values):
        x = self.deit(pixel_values)[0]
        return (self.cls_classifier(x[:, 0]) + self.distillation_classifier(x[:, 1])) / 2
