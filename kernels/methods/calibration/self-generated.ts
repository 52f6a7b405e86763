import { GraphEmitter } from '../../graph/emitter';
import { subgraph } from '../../graph/cut';
import { Random } from '../../numerics/random';
import { Feed } from '../../run/feed';
import type { NamedArray } from '../../run/run-model';
import { heldSamples } from '../../synthetic/held-samples';
import type { Synthesis } from '../../synthetic/synthesis';
import { vocabularyOf } from '../../synthetic/vocabulary';
import type { Generator } from '../method';

/** Texts that the model writes itself: what it was trained on, as it remembers it. */
export const selfGenerated: Generator = {
  id: 'self-generated',
  kind: 'calibration',
  title: 'Texts that the model writes itself, token by token',
  source: 'Liu et al., LLM-QAT: Data-Free Quantization Aware Training for Large Language Models, 2023, section 2.1: a random first token, the others drawn from the model\'s own distribution',
  needs: 'graph',
  catalogue: [],
  parameters: {},
  usual: 32,
  refuses(target) {
    if (target.task !== 'language-model' || !target.sample.whole || target.sample.shape.length !== 1) return `it needs a language model that is given one row of tokens, and this model does ${target.task} on samples of shape [${target.sample.shape.join(', ')}]`;
    if (target.output.shape.length !== 3) return `a language model gives scores [samples, tokens, vocabulary], and this one gives [${target.output.shape.join(', ')}]`;
    return vocabularyOf(target.model.graph, target.input.name) === null ? 'no table is found in which the model looks its tokens up' : null;
  },
  async run(target) {
    const { model, input, sample, count, seed } = target;
    const [length] = sample.shape as [number];
    const known = vocabularyOf(model.graph, input.name)!;
    const ids = new BigInt64Array(count * length);
    // A generator for each sample: what one is does not depend on how many there are.
    const random = Array.from({ length: count }, (_, n) => new Random(Math.imul(seed + 1, 0x9e3779b1) ^ n));
    random.forEach((each, n) => { ids[n * length] = BigInt(each.integer(known)); });
    const { graph, place, scores } = scoresAtPlace(target);
    const running = await model.start(graph);
    try {
      for (let at = 1; at < length; at += 1) {
        // Where the number of tokens is fixed, those to come are there already: none is seen by what comes before it.
        const given = typeof input.shape[1] === 'number' ? length : at;
        const rows = heldSamples({ type: 'I64', shape: [count, given], data: firstColumns(ids, count, length, given) }, 'tokens so far', { method: selfGenerated.id, seed });
        const feed = new Feed(model.graph, rows);
        for (const batch of feed.batches(Array.from({ length: count }, (_, n) => n))) {
          target.throwIfCancelled();
          target.progress((at - 1) * count + batch[0]!, (length - 1) * count);
          const inputs = new Map<string, NamedArray>([...feed.inputs(batch), [place, { type: 'I64', shape: [], data: BigInt64Array.of(BigInt(at - 1)) }]]);
          const { data, shape } = (await running.run(inputs)).get(scores)!;
          const classes = shape.at(-1)!;
          batch.forEach((n, row) => { ids[n * length + at] = BigInt(drawn((data as Float32Array).subarray(row * classes, row * classes + Math.min(classes, known)), random[n]!.uniform())); });
        }
      }
    } finally { await running.close(); }
    return { samples: { type: 'I64', shape: [count, length], data: ids }, what: 'texts that the model wrote itself' };
  },
};

/** The model with the scores of one place as its output: those of all places are many times as large. */
function scoresAtPlace({ model, output }: Synthesis): { graph: GraphEmitter extends { finish(outputs: readonly string[]): infer G } ? G : never; place: string; scores: string } {
  const g = new GraphEmitter(subgraph(model.graph, [], [output.name]));
  const place = g.input('place', 'I64', []);
  const scores = g.emit('Gather', [output.name, place], { axis: { int: 1 } }, { type: 'F32', shape: [output.shape[0]!, output.shape[2]!] });
  return { graph: g.finish([scores]), place, scores };
}

function firstColumns(ids: BigInt64Array, rows: number, length: number, columns: number): BigInt64Array {
  const data = new BigInt64Array(rows * columns);
  for (let n = 0; n < rows; n += 1) data.set(ids.subarray(n * length, n * length + columns), n * columns);
  return data;
}

/** The class that a uniform number in [0, 1) falls on, each as wide as its softmax. @throws Error when no score is finite */
function drawn(scores: Float32Array, uniform: number): number {
  let top = -Infinity;
  for (const score of scores) if (score > top) top = score;
  if (!Number.isFinite(top)) throw new Error('the model gives scores that are not numbers, so that no token can be drawn from them');
  let total = 0;
  for (const score of scores) total += Math.exp(score - top);
  let left = uniform * total;
  for (let c = 0; c < scores.length; c += 1) { left -= Math.exp(scores[c]! - top); if (left < 0) return c; }
  return scores.indexOf(top);
}
