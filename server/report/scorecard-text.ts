/** The scorecard of sensitivity metrics in words. */
import { method } from '../../kernels/methods/registry';
import type { Scorecard } from '../protocol';

/** @param table of a head and rows; columns after the first are numbers */
export function scorecardText(card: Scorecard, table: (head: readonly string[], rows: readonly string[][]) => string): string {
  const { against, metrics, recipes, chance } = card;
  const columns = (['kl', 'loss', 'nsr'] as const).filter((figure) => metrics.some(({ tau }) => tau[figure] !== undefined)).sort((a, b) => Number(b === against) - Number(a === against));
  const NAMES = { kl: 'KL', loss: 'loss', nsr: 'noise' };
  const bits = recipes.map((recipe) => recipe.bits);
  const [least, most] = [Math.min(...bits), Math.max(...bits)];
  const spread = (values: readonly number[]): string => `${Math.min(...values).toPrecision(3)} to ${Math.max(...values).toPrecision(3)}`;
  return [
    table(['Metric', ...columns.map((figure) => `tau (${NAMES[figure]})`), 'Layers', 'Seconds', 'Rests on'], metrics.map(({ metric, tau, layers, of, seconds, basis }) => [
      metric, ...columns.map((figure) => tau[figure]?.toFixed(2) ?? '–'), `${layers} of ${of}`, seconds.toFixed(1), basis === 'data' ? 'data' : 'weights',
    ])),
    `Kendall's tau between what each metric predicts (its sum over the layers) and what ${recipes.length} random recipes lose as wholes: 1 is the same order, 0 ± ${chance.toFixed(2)} is chance.`,
    `Recipes of ${Math.ceil(least / 8)} to ${Math.ceil(most / 8)} bytes (seed ${card.seed}); ${NAMES[against]} ${spread(recipes.map((recipe) => recipe[against]!))}; judged on ${card.samples} samples of ${card.data} in ${card.secondsJudging.toFixed(1)} s.${card.measuredOn === null ? '' : ` Metrics looked at ${card.measuredOn}; proxies do so together.`}`,
    ...(metrics[0] ? [`Best here: ${metrics[0].metric} (${method(metrics[0].metric)?.title ?? metrics[0].metric}).`] : []),
    ...card.refused.map(({ metric, reason }) => `Not scored: ${metric}: ${reason}`),
  ].join('\n') + '\n';
}
