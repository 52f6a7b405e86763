from pydantic import BaseModel, Field
import torch.nn as nn


class Block(BaseModel):
    width: int = 4
    heads: int = Field(default=2, ge=1)


class Config(BaseModel):
    block: Block = Block()
    depth: int = Field(2)
    tags: list[str] = Field(default_factory=list)


class Net(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(config.block.width, config.block.heads) for _ in range(config.depth)])


def build():
    return Net(Config(depth=1))
