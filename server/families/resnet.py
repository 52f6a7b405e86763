"""ResNet under the names of Hugging Face: basic and bottleneck layers, downsampling in the layer that the configuration says."""
import torch.nn as nn

from decoder import activation


class ResNetConfig:
    def __init__(self, num_channels=3, embedding_size=64, hidden_sizes=(256, 512, 1024, 2048), depths=(3, 4, 6, 3), layer_type="bottleneck", hidden_act="relu",
                 downsample_in_first_stage=False, downsample_in_bottleneck=False, num_labels=2, id2label=None, **others):
        self.num_channels, self.embedding_size, self.hidden_sizes, self.depths = num_channels, embedding_size, hidden_sizes, depths
        self.layer_type, self.hidden_act = layer_type, hidden_act
        self.downsample_in_first_stage, self.downsample_in_bottleneck = downsample_in_first_stage, downsample_in_bottleneck
        self.num_labels = len(id2label) if id2label else num_labels


class ConvLayer(nn.Module):
    def __init__(self, inputs, outputs, kernel_size=3, stride=1, act="relu"):
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel_size=kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
        self.normalization = nn.BatchNorm2d(outputs)
        self.activation = activation(act) if act else nn.Identity()

    def forward(self, x):
        return self.activation(self.normalization(self.convolution(x)))


class ResNetLayer(nn.Module):
    """Convolutions and a shortcut around them: two of 3 x 3, or a bottleneck of 1 x 1, 3 x 3, 1 x 1 with a quarter of the channels."""

    def __init__(self, config, inputs, outputs, stride=1):
        super().__init__()
        changes = inputs != outputs or stride != 1
        self.shortcut = ConvLayer(inputs, outputs, kernel_size=1, stride=stride, act=None) if changes else nn.Identity()
        if config.layer_type == "bottleneck":
            inner, early = outputs // 4, config.downsample_in_bottleneck
            self.layer = nn.Sequential(
                ConvLayer(inputs, inner, kernel_size=1, stride=stride if early else 1),
                ConvLayer(inner, inner, stride=1 if early else stride),
                ConvLayer(inner, outputs, kernel_size=1, act=None),
            )
        else:
            self.layer = nn.Sequential(ConvLayer(inputs, outputs, stride=stride), ConvLayer(outputs, outputs, act=None))
        self.activation = activation(config.hidden_act)

    def forward(self, x):
        return self.activation(self.layer(x) + self.shortcut(x))


class ResNetStage(nn.Module):
    def __init__(self, config, inputs, outputs, stride, depth):
        super().__init__()
        self.layers = nn.Sequential(*[ResNetLayer(config, inputs if i == 0 else outputs, outputs, stride if i == 0 else 1) for i in range(depth)])

    def forward(self, x):
        return self.layers(x)


class ResNetEncoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        stages, inputs = [], config.embedding_size
        for i in range(len(config.depths)):
            stages.append(ResNetStage(config, inputs, config.hidden_sizes[i], 2 if i > 0 or config.downsample_in_first_stage else 1, config.depths[i]))
            inputs = config.hidden_sizes[i]
        self.stages = nn.ModuleList(stages)

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        return x


class ResNetEmbeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embedder = ConvLayer(config.num_channels, config.embedding_size, kernel_size=7, stride=2, act=config.hidden_act)
        self.pooler = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)

    def forward(self, pixel_values):
        return self.pooler(self.embedder(pixel_values))


class ResNetModel(nn.Module):
    """Gives the last feature map and its mean over the picture."""

    def __init__(self, config: ResNetConfig):
        super().__init__()
        self.embedder = ResNetEmbeddings(config)
        self.encoder = ResNetEncoder(config)
        self.pooler = nn.AdaptiveAvgPool2d((1, 1))

    def forward(self, pixel_values):
        x = self.encoder(self.embedder(pixel_values))
        return x, self.pooler(x)


class ResNetForImageClassification(nn.Module):
    def __init__(self, config: ResNetConfig):
        super().__init__()
        self.resnet = ResNetModel(config)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(config.hidden_sizes[-1], config.num_labels) if config.num_labels > 0 else nn.Identity())

    def forward(self, pixel_values):
        return self.classifier(self.resnet(pixel_values)[1])
