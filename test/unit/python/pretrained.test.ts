import assert from 'node:assert/strict';
import test, { before } from 'node:test';
import { initParser } from '../../../server/python';
import { find, rows, treeOf } from './support';

before(initParser);

const SOURCE = `
import torch.nn as nn
from transformers import PreTrainedModel
from transformers.configuration_utils import PreTrainedConfig

class TextConfig(PreTrainedConfig):
    attribute_map = {"hidden_size": "width"}
    width: int = 8
    vocab_size: int = 20

class PictureConfig(PreTrainedConfig):
    def __init__(self, width=16, patch=4, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.patch = patch

class BothConfig(PreTrainedConfig):
    sub_configs_defaults = {"picture": PictureConfig}
    text: dict | TextConfig | None = None
    picture: dict | PictureConfig | None = None
    joint: int = 3

    def __post_init__(self, **kwargs):
        if isinstance(self.text, dict):
            self.text = TextConfig(**self.text)
        self.extra = kwargs.pop("extra", 0)
        super().__post_init__(**kwargs)

class Base(PreTrainedModel):
    config_class = BothConfig

class Text(Base):
    _tied_weights_keys = {"head.bias": "bias"}
    def __init__(self, config: TextConfig):
        super().__init__(config)
        self.table = nn.Embedding(config.vocab_size, config.hidden_size)
        self.post_init()

class Picture(Base):
    def __init__(self, config: PictureConfig):
        super().__init__(config)
        self.patch = nn.Conv2d(3, config.width, config.patch)

class Net(Base):
    def __init__(self, config: BothConfig):
        super().__init__(config)
        if not isinstance(config.text, TextConfig):
            raise TypeError("not a configuration")
        self.text = Text._from_config(config.text, attn_implementation="eager")
        self.picture = Picture._from_config(config.picture)
        self.joint = nn.Linear(config.joint, config.extra, bias=False)
`;

test('config.json becomes the configuration object its class makes: nested ones, other names of a value, leftover keywords', () => {
  const tree = treeOf(SOURCE, 'Net', { config: { text: { width: 6 }, picture: { patch: 2, unheard: 1 }, extra: 9, model_type: 'both' } });
  assert.deepEqual(rows(tree.root), ['text.table.weight [20,6]', 'picture.patch.weight [16,3,2,2]', 'picture.patch.bias [16]', 'joint.weight [9,3]']);
  assert.deepEqual(tree.unknowns, []);
  assert.deepEqual(find(tree.root, 'text')!.ties, [['head.bias', 'bias']]);
});

test('plain values stand for any configuration class: a check for one does not end the constructor', () => {
  const tree = treeOf(`
import torch.nn as nn
class Config:
    pass
class Net(nn.Module):
    def __init__(self, config):
        super().__init__()
        if not isinstance(config, Config):
            raise TypeError("not a Config")
        self.fc = nn.Linear(config.width, 2)
`, 'Net', { config: { width: 3 } });
  assert.deepEqual(rows(tree.root), ['fc.weight [2,3]', 'fc.bias [2]']);
});
