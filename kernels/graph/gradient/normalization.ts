/** Normalisation. With h = (x - mean) / sqrt(var + eps) over the same axes, dx = (e - mean(e) - h mean(e h)) / sqrt(var + eps), e = d scale. */
import type { GraphEmitter } from '../emitter';
import { define, floatOf, intOf, NoGradient } from './rule';

const range = (from: number, to: number): number[] => Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

interface Normalised { readonly value: string; readonly inverse: string }
function normalised(g: GraphEmitter, x: string, axes: readonly number[], epsilon: number): Normalised {
  const centred = g.sub(x, g.mean(x, axes, true));
  const inverse = g.same('Reciprocal', [g.same('Sqrt', [g.plus(g.mean(g.mul(centred, centred), axes, true), epsilon)])]);
  return { value: g.mul(centred, inverse), inverse };
}
function back(g: GraphEmitter, e: string, { value, inverse }: Normalised, axes: readonly number[]): string {
  return g.mul(inverse, g.sub(g.sub(e, g.mean(e, axes, true)), g.mul(value, g.mean(g.mul(e, value), axes, true))));
}

define('LayerNormalization', (g, { node, gradient: d, needs }) => {
  const [x, scale, bias] = node.inputs as [string, string, string?];
  const n = g.rank(x);
  const axis = intOf(node, 'axis', -1);
  const axes = range(axis < 0 ? axis + n : axis, n);
  const h = normalised(g, x, axes, floatOf(node, 'epsilon', 1e-5));
  return [
    needs(0) ? back(g, g.mul(d, scale), h, axes) : null,
    needs(1) ? g.reduceTo(g.mul(d, h.value), scale) : null,
    bias && needs(2) ? g.reduceTo(d, bias) : null,
  ];
});
/** x / sqrt(mean(x^2) + eps) scale, of opset 23. */
define('RMSNormalization', (g, { node, gradient: d, needs }) => {
  const [x, scale] = node.inputs as [string, string];
  const n = g.rank(x);
  const axis = intOf(node, 'axis', -1);
  const axes = range(axis < 0 ? axis + n : axis, n);
  const inverse = g.same('Reciprocal', [g.same('Sqrt', [g.plus(g.mean(g.mul(x, x), axes, true), floatOf(node, 'epsilon', 1e-5))])]);
  const h = g.mul(x, inverse);
  const e = g.mul(d, scale);
  return [needs(0) ? g.mul(inverse, g.sub(e, g.mul(h, g.mean(g.mul(e, h), axes, true)))) : null, needs(1) ? g.reduceTo(g.mul(d, h), scale) : null];
});

/** A vector over the channels of dimension 1, so that it broadcasts against `x`. */
const perChannel = (g: GraphEmitter, vector: string, x: string): string => (g.rank(x) > 2 ? g.unsqueeze(vector, range(1, g.rank(x) - 1)) : vector);
const overChannels = (g: GraphEmitter, value: string): string => g.reduceSum(value, range(0, g.rank(value)).filter((axis) => axis !== 1), false);

/** With the statistics it was trained with. */
define('BatchNormalization', (g, { node, gradient: d, needs }) => {
  if (intOf(node, 'training_mode', 0) !== 0 || node.outputs.length > 1) throw new NoGradient('in training mode');
  const [x, scale, , mean, variance] = node.inputs as [string, string, string, string, string];
  const inverse = g.same('Reciprocal', [g.same('Sqrt', [g.plus(variance, floatOf(node, 'epsilon', 1e-5))])]);
  const factor = g.mul(scale, inverse);
  const spread = (): string => g.mul(overChannels(g, g.mul(d, g.sub(x, perChannel(g, mean, x)))), inverse);
  return [
    needs(0) ? g.mul(d, perChannel(g, factor, x)) : null,
    needs(1) ? spread() : null,
    needs(2) ? overChannels(g, d) : null,
    needs(3) ? g.neg(g.mul(overChannels(g, d), factor)) : null,
    needs(4) ? g.times(g.mul(spread(), g.mul(g.mul(scale, inverse), inverse)), -0.5) : null,
  ];
});
define('InstanceNormalization', (g, { node, gradient: d, needs }) => {
  const [x, scale] = node.inputs as [string, string];
  const axes = range(2, g.rank(x));
  const h = normalised(g, x, axes, floatOf(node, 'epsilon', 1e-5));
  return [
    needs(0) ? back(g, g.mul(d, perChannel(g, scale, x)), h, axes) : null,
    needs(1) ? overChannels(g, g.mul(d, h.value)) : null,
    needs(2) ? overChannels(g, d) : null,
  ];
});
/** Over the channels of each group; scale and bias of each channel (opset 21) or of each group (before). */
define('GroupNormalization', (g, { node, gradient: d, needs }) => {
  const [x, scale, bias] = node.inputs as [string, string, string];
  const channels = g.shape(x)[1];
  const groups = intOf(node, 'num_groups', 1);
  if (typeof channels !== 'number') throw new NoGradient('of channels whose number is not known');
  const each = g.shape(scale)[0] === channels ? 1 : channels / groups;
  const apart = (value: string): string => g.reshape(g.rank(x) > 3 ? joinedSpace(g, value) : value, [0, groups, channels / groups, -1]);
  const [own, toGroups] = [apart(x), apart(d)];
  const factor = each === 1 ? g.reshape(scale, [groups, channels / groups, 1]) : g.reshape(scale, [groups, 1, 1]);
  const h = normalised(g, own, [2, 3], floatOf(node, 'epsilon', 1e-5));
  const reduced = (value: string): string => g.reshapeLike(g.reduceSum(value, each === 1 ? [0, 3] : [0, 2, 3], false), scale);
  return [
    needs(0) ? g.reshapeLike(back(g, g.mul(toGroups, factor), h, [2, 3]), x) : null,
    needs(1) ? reduced(g.mul(toGroups, h.value)) : null,
    needs(2) && bias ? reduced(toGroups) : null,
  ];
});
const joinedSpace = (g: GraphEmitter, value: string): string => g.reshape(value, [0, g.shape(value)[1] as number, -1]);
