import type { PtqMethod } from '../method';
import { blockScaledOnly, Grid } from './grid';
import { importanceOf, layerProblem, leastLoss, type LayerProblem } from './layer-problem';

/** Round to nearest; the scale of each block is the one with the least error weighted by the energy of the inputs. */
export const importance: PtqMethod = {
  id: 'importance',
  kind: 'ptq',
  title: 'Round to nearest (scales of least error weighted by input energy)',
  source: 'Weighted range search as in llama.cpp\'s importance matrices: sum of E[x_j^2] (w_j - q_j)^2 over a block',
  needs: 'calibration',
  catalogue: [],
  parameters: {},
  scaleRule: null,
  async run(weights, view, format, _options, inputs, poll) {
    const problem = layerProblem(weights, view, inputs, 'importance');
    const grid = importanceGrid(problem, blockScaledOnly(format, 'importance'), poll);
    return leastLoss(problem, format, [grid.encode(problem.weights), format.encode(problem.weights, view, 'absmax')]);
  },
};

/** A grid with weighted scales. */
export function importanceGrid(problem: LayerProblem, format: ReturnType<typeof blockScaledOnly>, poll?: () => void): Grid {
  const { weights, view } = problem;
  const grid = new Grid(format, view, weights);
  const byMoment = new Map<Float64Array, Float64Array>();
  const of = (row: number): Float64Array => {
    const moment = problem.momentOf(row);
    if (!byMoment.has(moment)) byMoment.set(moment, importanceOf(moment, view.cols));
    return byMoment.get(moment)!;
  };
  if (grid.perRow === 0) {
    const energy = new Float64Array(weights.length);
    for (let row = 0; row < view.rows; row += 1) energy.set(of(row), row * view.cols);
    grid.fit(0, weights, 0, weights.length, energy, 0, true);
    return grid;
  }
  for (let row = 0; row < view.rows; row += 1) {
    poll?.();
    const energy = of(row);
    for (let b = 0; b < grid.perRow; b += 1) {
      const col = b * grid.size;
      grid.fit(row * grid.perRow + b, weights, row * view.cols + col, grid.size, energy, col, true);
    }
  }
  return grid;
}
