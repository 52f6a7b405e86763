import type { PtqMethod } from '../method';
import { descend } from './coordinate-descent';
import { blockScaledOnly } from './grid';
import { importanceGrid } from './importance';
import { layerProblem, leastLoss } from './layer-problem';

/** COMQ: coordinate descent on codes and scales, no gradients, each step in closed form. */
export const comq: PtqMethod = {
  id: 'comq',
  kind: 'ptq',
  title: 'COMQ (coordinate descent on codes and scales)',
  source: 'Zhang et al., COMQ: A Backpropagation-Free Algorithm for Post-Training Quantization, 2024',
  needs: 'calibration',
  catalogue: ['comq'],
  parameters: { rounds: { type: 'integer', default: 8, minimum: 1, maximum: 100, description: 'rounds over all codes and scales' } },
  scaleRule: null,
  async run(weights, view, format, { rounds = 8 }, inputs, poll) {
    const problem = layerProblem(weights, view, inputs, 'comq');
    const grid = importanceGrid(problem, blockScaledOnly(format, 'comq'), poll);
    const values = format.decode(grid.encode(problem.weights));
    await descend(problem, grid, values, { rounds: rounds as number, scales: true }, poll);
    return leastLoss(problem, format, [grid.encode(values), format.encode(problem.weights, view, 'absmax')]);
  },
};
