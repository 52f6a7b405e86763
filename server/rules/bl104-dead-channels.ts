import { scannedLayers } from './facts';
import { perLine } from './per-line';
import type { Rule } from './rule';
import { countText, sentence } from './text';

export const deadChannels: Rule = {
  code: 'BL104',
  name: 'dead-channels',
  title: 'Dead or constant output channels',
  defaultSeverity: 'information',
  needs: 'measurements',
  explanation: `
An output channel whose weights are all zero, or all one value, carries nothing that depends on its single inputs. It
costs memory and time, it makes channel statistics look better than they are, and a scale computed for it is a division
of zero by zero in careless implementations.

Measured: channels that are all zero (dead), and channels that repeat one other value (constant). Single-column weights are
left out. Embedding rows count as channels: a dead row is usually the padding token.

**What to do:** prune the channels, or find out why training killed them (a learning rate too high, a frozen or
never-used branch, a padding row that is meant to be zero).
`,
  * check(analysis) {
    const dead = [];
    for (const { layer, scan: { statistics, view }, evidence } of scannedLayers(analysis)) {
      const { deadChannelCount, constantChannelCount } = statistics;
      // A row of one weight is constant by nature, and one dead row of a table with a padding index is meant.
      if (view.cols < 2 || deadChannelCount + constantChannelCount === 0) continue;
      if (constantChannelCount === 0 && deadChannelCount === 1 && typeof layer.module.args.padding_idx === 'number') continue;
      dead.push({ layer, badness: (deadChannelCount + constantChannelCount) / view.rows, statistics, rows: view.rows, evidence });
    }
    for (const line of perLine(dead)) {
      const { statistics, rows, evidence } = line.worst;
      const parts = [
        ...(statistics.deadChannelCount > 0 ? [`${statistics.deadChannelCount} dead (all zero)`] : []),
        ...(statistics.constantChannelCount > 0 ? [`${statistics.constantChannelCount} constant`] : []),
      ];
      const which = statistics.deadChannels.slice(0, 5).join(', ');
      const more = statistics.deadChannelCount > 5 ? ', …' : '';
      yield {
        message: sentence(`${line.names}: ${line.layers.length > 1 ? 'worst ' : ''}${parts.join(' and ')} of ${countText(rows, 'output channel')}${line.atWorst}`
          + `${which === '' ? '' : `; dead: ${which}${more}`} (${evidence})`),
        span: line.span, layer: line.layer, layers: line.layers, evidence, ...(line.related && { related: line.related }),
      };
    }
  },
};
