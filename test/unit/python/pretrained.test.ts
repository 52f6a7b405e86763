import assert from 'node:assert/strict';
import test, { before } from 'node:test';
import { initParser, PythonWorkspace } from '../../../server/python';
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

test('auto classes: the model type picks the class by the tables of the package\'s source, of which nothing else is run', () => {
  const home = '/lib/transformers';
  const init = Object.fromEntries(['', '/models', '/models/auto', '/models/picture', '/models/both'].map((folder) => [`${home}${folder}/__init__.py`, '']));
  const files: Record<string, string> = {
    ...init,
    [`${home}/configuration_utils.py`]: '', [`${home}/modeling_utils.py`]: '',
    [`${home}/models/auto/configuration_auto.py`]: 'CONFIG_MAPPING_NAMES = {"picture-tower": "PictureConfig"}\nSPECIAL_MODEL_TYPE_TO_MODULE_NAME = {"picture-tower": "picture"}\n',
    [`${home}/models/auto/modeling_auto.py`]: 'MODEL_MAPPING_NAMES = {"picture-tower": ("PictureModel", "Other")}\nMODEL_MAPPING = build(MODEL_MAPPING_NAMES)\nclass AutoModel(Base):\n    _model_mapping = MODEL_MAPPING\nAutoModel = update(AutoModel)\n',
    [`${home}/models/picture/configuration_picture.py`]: 'from ...configuration_utils import PreTrainedConfig\nclass PictureConfig(PreTrainedConfig):\n    model_type = "picture-tower"\n    width: int = 4\n',
    [`${home}/models/picture/modeling_picture.py`]: 'import torch.nn as nn\nfrom ...modeling_utils import PreTrainedModel\nclass PictureModel(PreTrainedModel):\n    def __init__(self, config):\n        super().__init__(config)\n        self.fc = nn.Linear(config.width, 2)\n',
    [`${home}/models/both/modeling_both.py`]: `
import torch.nn as nn
from ...configuration_utils import PreTrainedConfig, SubConfigSpec
from ...modeling_utils import PreTrainedModel
from ..auto import AutoConfig, AutoModel
class BothConfig(PreTrainedConfig):
    sub_configs_defaults = {"left": SubConfigSpec(config_class=AutoConfig, model_type="picture-tower", init_kwargs={"width": 7}), "right": SubConfigSpec(AutoConfig), "none": SubConfigSpec(AutoConfig, "picture-tower", optional=True)}
    left: dict | PreTrainedConfig | None = None
    right: dict | PreTrainedConfig | None = None
    none: dict | PreTrainedConfig | None = None
class Both(PreTrainedModel):
    def __init__(self, config: BothConfig):
        super().__init__(config)
        self.left = AutoModel.from_config(config.left)
        self.right = AutoModel.from_config(config.right)
        if config.none is not None:
            self.none = AutoModel.from_config(config.none)
`,
  };
  const made = new PythonWorkspace({ readFile: (file) => files[file] ?? null, roots: () => [`${home}/models/both`] });
  const tree = made.buildTree(`${home}/models/both/modeling_both.py`, 'Both', { config: { right: { model_type: 'picture-tower', width: 5 } } });
  assert.deepEqual(rows(tree.root), ['left.fc.weight [2,7]', 'left.fc.bias [2]', 'right.fc.weight [2,5]', 'right.fc.bias [2]']);
  made.dispose();
});
