import { dirname } from 'node:path';
import type { Checkpoint, CheckpointProblem, DerivedTensor, JsonValue } from '../checkpoint';
import { DEFAULT_LIMITS } from '../limits';
import { ProblemList } from '../problems';
import { awq } from './awq';
import { bitsandbytes } from './bitsandbytes';
import { blockFloats } from './block-floats';
import { gptq } from './gptq';
import { hqq } from './hqq';
import type { LayoutRecogniser } from './layout';
import { mxfp4Experts } from './mxfp4-experts';
import { packedIntegers } from './packed-integers';
import { quantizationConfig } from './quantization-config';
import { scaled } from './scaled';
import { lastPart, TensorTable } from './tensor-table';
import { torchao } from './torchao';

/** Every recogniser, the most particular first: a tensor belongs to the first layout that takes it. */
export const RECOGNISERS: readonly LayoutRecogniser[] = [gptq, awq, packedIntegers, blockFloats, mxfp4Experts, bitsandbytes, hqq, torchao, scaled];

const MARKS: ReadonlySet<string> = new Set(RECOGNISERS.flatMap(({ marks }) => marks.filter((mark) => !mark.startsWith('_'))));
/** Marks that are the end of a last part: `experts.down_proj_blocks`. */
const END_MARKS: readonly string[] = RECOGNISERS.flatMap(({ marks }) => marks.filter((mark) => mark.startsWith('_')));

/** True when a name hints at a quantized layout: nearly every checkpoint needs no closer look. */
function isMarked(name: string): boolean {
  return MARKS.has(lastPart(name)) || END_MARKS.some((end) => name.endsWith(end));
}

/**
 * Adds the weights that quantized layouts stand for, and what is wrong with them.
 * @param config the model's quantization settings; absent: looked for in the metadata and beside the file, where anything hints at them
 */
export function withDerived(checkpoint: Checkpoint, config?: JsonValue | null): Checkpoint {
  if (!checkpoint.tensors.some(({ name }) => isMarked(name))) return checkpoint;
  const settings = config === undefined ? quantizationConfig(checkpoint.metadata, dirname(checkpoint.path)) : config;
  const derived: DerivedTensor[] = [...(checkpoint.derived ?? [])];
  const found: CheckpointProblem[] = [];
  const table = new TensorTable(checkpoint);
  try {
    for (const weight of derived) table.take(weight.replaces);
    for (const recogniser of RECOGNISERS) {
      const recognised = recogniser.recognise(table, settings);
      for (const weight of recognised.derived) {
        derived.push(weight);
        table.take(weight.replaces);
      }
      found.push(...recognised.problems);
    }
  } finally {
    table.close();
  }
  if (derived.length === (checkpoint.derived?.length ?? 0) && found.length === 0) return checkpoint;
  const problems = new ProblemList(DEFAULT_LIMITS.problems);
  problems.addAll(found);
  return { ...checkpoint, derived, problems: [...checkpoint.problems, ...problems.list()] };
}
