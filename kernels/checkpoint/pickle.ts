import type { ByteSource } from './byte-source';
import type { Checkpoint } from './checkpoint';
import { DEFAULT_LIMITS } from './limits';
import { ImportList } from './pickle-imports';
import { PickleMachine } from './pickle-machine';
import type { PickleValue } from './pickle-nodes';
import { PickleInput, reportLongFrame, runPickle } from './pickle-stream';
import { assemble, placeTensors } from './pickled-checkpoint';
import { counted, FETCH_AGAIN, ProblemList, refuse, SAVE_AGAIN } from './problems';
import type { CheckpointReader, ReaderContext } from './reader';
import { TensorMatcher } from './torch-tensors';

/**
 * A plain pickle, or several one behind another. Its imports are listed; numpy arrays in it are tensors (many published
 * weights are such pickles). A pickle that breaks is shown with what was found before the break.
 */
export const pickleReader: CheckpointReader = {
  name: 'pickle',
  match: looksLikePickle,
  open: openPickle,
};

/** True for bytes that read as a pickle: a protocol mark, or text opcodes that make sense to the end or name an import that matters. */
export function looksLikePickle(head: Uint8Array, source?: Pick<ByteSource, 'size'>): boolean {
  if (head.length < 2) return false;
  if (head[0] === 0x80) return head[1] <= 5;
  const imports = new ImportList(16);
  const whole = !source || source.size <= head.length;
  const machine = new PickleMachine(0, imports, DEFAULT_LIMITS);
  const state = machine.run(Buffer.from(head.buffer, head.byteOffset, head.length), whole, head.length + 1);
  if (state === 'stop') return machine.ops > 1 && (imports.size > 0 || machine.position >= head.length || looksLikePickle(head.subarray(machine.position)));
  const plausible = imports.list().filter((item) => /^[\w.]+$/.test(item.module) && /^[^\s]+$/.test(item.name));
  if (plausible.some((item) => item.kind !== 'other')) return true;
  // Broken without a name of note: only when every byte was read as an opcode, which text hardly ever is.
  return (state === 'more' || machine.position >= head.length - 2) && machine.ops >= 2 && plausible.length > 0;
}

async function openPickle(source: ByteSource, context: ReaderContext): Promise<Checkpoint> {
  const problems = new ProblemList(context.limits.problems);
  const imports = new ImportList(context.limits.imports);
  const input = PickleInput.from(source, context.limits.pickleBytes);
  const results: PickleValue[] = [];
  let at = 0;
  for (let count = 0; at < input.bytes.length && count < 10_000; count++) {
    const machine = await runPickle(input, at, imports, context);
    const start = at;
    reportLongFrame(machine, problems, (offset) => start + offset);
    if (machine.broken) {
      const where = at + machine.broken.offset;
      if (count > 0 && machine.broken.offset === 0) {
        problems.add('questionable', `${counted(source.size - at, 'byte', ['that is no pickle follows', 'that are no pickle follow'])} the last one`, SAVE_AGAIN, { offset: at });
      } else {
        const message = `the pickle breaks: ${machine.broken.message}`;
        if (imports.size === 0 && results.length === 0) refuse(source.path, message, FETCH_AGAIN, { offset: where });
        problems.add('questionable', `${message}; what it would import up to there is listed`, FETCH_AGAIN, { offset: where });
      }
      break;
    }
    results.push(machine.result ?? null);
    at = machine.position;
  }
  if (input.complete && input.bytes.length < source.size) {
    problems.add('questionable', `only the first ${input.bytes.length} bytes of the pickle are read`, 'Save the weights with torch.save or as safetensors');
  }
  const matcher = new TensorMatcher();
  const tensors = results.length === 0 ? [] : await placeTensors(results[0], matcher, {
    strict: false, stream: 0,
    storage: () => ({ absent: 'its storage is not in this file' }),
  }, source, context, problems, input.bytes.length);
  return assemble('pickle', source, context, problems, imports, tensors, results[0], matcher);
}
