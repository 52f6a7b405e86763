/** Look-up tables. */
import { define, defineModule } from '../registry';
import type { Tracer } from '../tracer';
import type { Tensor } from '../../python/values/values';
import { cast, gather, rank, reshape } from './basic';
import { reduce } from './reduction';

const look = (g: Tracer, weight: Tensor, index: Tensor): Tensor => gather(g, weight, index, 0);
define('embedding', 'input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False', (g, a) => look(g, a.tensor('weight'), a.tensor('input')));
defineModule('Embedding', 'input', (g, m, a) => {
  const index = a.tensor('input');
  if (g.type(index) === 'F32') g.stop('an embedding is looked up with numbers that are not whole');
  return look(g, m.tensor('weight'), index);
});
function bag(g: Tracer, weight: Tensor, index: Tensor, mode: string): Tensor {
  if (rank(g, index) !== 2) return g.stop('embedding bags with offsets are not traced');
  return reduce(g, ({ sum: 'ReduceSum', max: 'ReduceMax' } as Record<string, string>)[mode] ?? 'ReduceMean', look(g, weight, index), [1], false);
}
defineModule('EmbeddingBag', 'input, offsets=None, per_sample_weights=None', (g, m, a) => (a.given('offsets') ? g.stop('embedding bags with offsets are not traced') : bag(g, m.tensor('weight'), a.tensor('input'), m.text('mode', 'mean'))));
define('one_hot', 'input, num_classes=-1', (g, a) => {
  const index = a.tensor('input');
  const count = a.whole('num_classes', -1);
  if (count === -1) return g.stop('one_hot without a number of classes depends on the values');
  return g.emit('OneHot', [cast(g, index, 'I64'), reshape(g, g.asTensor(count)!, [1]), g.constant('I64', [2], [0, 1])], { axis: { int: -1 } }, { type: 'I64', dims: [...g.dims(index), count] });
});
define('bincount histc', 'input, *args, **kwargs', (g) => g.stop('counts of values are not traced'));
