/** Descent by blocks of columns against the plain one, code after code. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseFormat } from '../../../../kernels/formats/registry';
import { descend } from '../../../../kernels/methods/ptq/coordinate-descent';
import { blockScaledOnly, Grid } from '../../../../kernels/methods/ptq/grid';
import { layerProblem, type LayerProblem } from '../../../../kernels/methods/ptq/layer-problem';
import { outputError, testLayer } from './support';

/** D M of one row, from scratch. */
function slopes({ weights, view: { cols }, momentOf }: LayerProblem, values: Float32Array, row: number): Float64Array {
  const moment = momentOf(row);
  return Float64Array.from({ length: cols }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < cols; j += 1) sum += (values[row * cols + j]! - weights[row * cols + j]!) * moment[i * cols + j]!;
    return sum;
  });
}

/** One round over codes, then one over scales. */
function plainRound(problem: LayerProblem, grid: Grid, values: Float32Array): void {
  const { rows, cols } = problem.view;
  for (let row = 0; row < rows; row += 1) {
    const moment = problem.momentOf(row);
    for (let j = 0; j < cols; j += 1) {
      const slope = slopes(problem, values, row)[j]!;
      const value = grid.nearest(values[row * cols + j]! - slope / moment[j * cols + j]!, grid.block(row, j));
      const step = value - values[row * cols + j]!;
      if (2 * slope * step + moment[j * cols + j]! * step * step < 0) values[row * cols + j] = value;
    }
    for (let b = 0; b < grid.perRow; b += 1) {
      const slope = slopes(problem, values, row);
      let [linear, square] = [0, 0];
      for (let i = b * grid.size; i < (b + 1) * grid.size; i += 1) {
        linear += values[row * cols + i]! * slope[i]!;
        for (let j = b * grid.size; j < (b + 1) * grid.size; j += 1) square += values[row * cols + i]! * moment[i * cols + j]! * values[row * cols + j]!;
      }
      const factor = square > 0 ? grid.rescale(row * grid.perRow + b, 1 - linear / square) : 1;
      for (let i = b * grid.size; i < (b + 1) * grid.size; i += 1) values[row * cols + i] = grid.nearest(values[row * cols + i]! * factor, row * grid.perRow + b);
    }
  }
}

for (const [id, cols, groups] of [['int3-symr-channel', 300, 1], ['int3-symr-channel', 140, 2], ['int3-sym-g50', 300, 1], ['int4-asym-g20', 140, 1], ['int2-symr-g150', 300, 1]] as const) {
  test(`${id} over ${cols} inputs, ${groups} groups of channels: rounds by blocks of columns give what rounds over one code after another give`, async () => {
    const layer = testLayer(4, cols, 21, 0.9, groups);
    const problem = layerProblem(layer.weights, layer.view, layer.inputs, 'descent');
    const format = blockScaledOnly(parseFormat(id), 'descent');
    const [grid, plain] = [new Grid(format, layer.view, layer.weights), new Grid(format, layer.view, layer.weights)];
    const values = format.decode(grid.encode(layer.weights));
    const expected = values.slice();
    await descend(problem, grid, values, { rounds: 2, scales: true });
    plainRound(problem, plain, expected);
    plainRound(problem, plain, expected);
    const differing = values.filter((value, i) => Math.abs(value - expected[i]!) > 1e-6 * Math.abs(expected[i]!)).length;
    assert.ok(differing <= values.length / 200, `${differing} of ${values.length} differ`);
    const [own, reference] = [outputError(layer, values), outputError(layer, expected)];
    assert.ok(Math.abs(own / reference - 1) < 1e-3, `${own} and ${reference}`);
  });
}
