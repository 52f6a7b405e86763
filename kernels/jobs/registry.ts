/** Every job the kernel process can run, by kind. */
import { activationsJob } from './activations';
import { allocateJob } from './allocate';
import { compareJob } from './compare';
import { convertJob } from './convert';
import { costsJob } from './costs';
import { detailJob } from './detail';
import { evaluateJob } from './evaluate';
import type { Job, JobKind } from './job';
import { judgeJob } from './judge';
import { onnxJob } from './onnx';
import { proxiesJob } from './proxies';
import { quantizeJob } from './quantize';
import { scanJob } from './scan';
import { sensitivityJob } from './sensitivity';
import { trialJob } from './trial';
import { typesJob } from './types';

export const jobs: { readonly [K in JobKind]: Job<K> } = {
  scan: scanJob,
  detail: detailJob,
  allocate: allocateJob,
  quantize: quantizeJob,
  compare: compareJob,
  convert: convertJob,
  onnx: onnxJob,
  types: typesJob,
  evaluate: evaluateJob,
  sensitivity: sensitivityJob,
  proxies: proxiesJob,
  trial: trialJob,
  judge: judgeJob,
  activations: activationsJob,
  costs: costsJob,
};
