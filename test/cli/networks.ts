/** The real networks of the test data, each as a bitlens.json with its data. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { dataPath, repositoryRoot } from '../support/data';
import { folder } from './run';

export function resnet(t: TestContext): string {
  const file = path.join(folder(t), 'bitlens.json');
  const cifar = (name: string): string => dataPath(`cifar10/${name}.npy`);
  writeFileSync(file, JSON.stringify({ models: [{
    source: path.join(repositoryRoot, 'examples/resnet20/model.py'), class: 'ResNet20', checkpoint: dataPath('resnet20/resnet20-12fca82f.th'), task: 'classification',
    data: {
      calibration: { inputs: cifar('train_images'), labels: cifar('train_labels') }, evaluation: { inputs: cifar('test_images'), labels: cifar('test_labels') },
      preprocess: { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], layout: 'NHWC' },
    },
  }] }));
  return file;
}
export function stories(t: TestContext): string {
  const file = path.join(folder(t), 'bitlens.json');
  const tokens = (name: string): { inputs: string } => ({ inputs: dataPath(`stories260k/tokens_${name}.npy`) });
  writeFileSync(file, JSON.stringify({ models: [{
    source: path.join(repositoryRoot, 'test/trace/stories/model.py'), class: 'LlamaForCausalLM', checkpoint: dataPath('stories260k/model.safetensors'), task: 'language-model',
    data: { calibration: tokens('calibration'), evaluation: tokens('eval') },
  }] }));
  return file;
}
