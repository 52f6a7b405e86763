/** Inlay hints: bits and size at the end of every line that makes a layer. */
import { shownFormat } from '../analysis/summary';
import { storageBits } from '../analysis/suggest';
import { KEEP } from '../analysis/recipe-file';
import type { ModelAnalysis } from '../analysis/model-analysis';
import type { Layer } from '../linking/layer';
import type { Range, Settings } from '../protocol';
import type { SourceSpan } from '../python/module-tree';
import { formatOf, viewOf } from '../rules/facts';
import { layersText } from '../rules/layer-names';
import { bitsText, bytesText, countText } from '../rules/text';
import type { DocumentView } from './document';
import { code } from './markdown';

export interface LayerHint {
  readonly position: { readonly line: number; readonly character: number };
  readonly label: string;
  readonly tooltip: string;
}

interface Share { readonly layer: Layer; readonly format: string; readonly source: 'recipe' | 'suggested'; readonly codeBits: number; readonly bytes: number }

/** Bits and bytes of one layer in the format it is shown with; null when nothing is known or it keeps its precision. */
function shareOf(analysis: ModelAnalysis, layer: Layer, settings: Settings): Share | null {
  const shown = shownFormat(analysis, layer, settings);
  const format = shown && shown.format !== KEEP ? formatOf(shown.format) : null;
  const view = viewOf(layer);
  if (!shown || !format || !view) return null;
  return { layer, format: format.id, source: shown.source, codeBits: format.codeBits, bytes: Math.ceil(storageBits(format.id, view) / 8) };
}

/** Hints for the lines of a range. Layers of one line (loops, classes used many times) share one hint. */
export function inlayHints(view: DocumentView, range: Range): LayerHint[] {
  const { analysis, settings } = view;
  if (!settings.inlayHints || !analysis?.link) return [];
  const ends = new Map<string, { span: SourceSpan; shares: Share[]; layers: number }>();
  for (const layer of analysis.link.layers) {
    const { span } = layer;
    if (layer.weight === null || span.file !== view.path || span.endLine < range.start.line || span.endLine > range.end.line) continue;
    const key = `${span.endLine}:${span.endColumn}`;
    const end = ends.get(key) ?? { span, shares: [], layers: 0 };
    end.layers += 1;
    const share = shareOf(analysis, layer, settings);
    if (share) end.shares.push(share);
    ends.set(key, end);
  }
  return [...ends.values()].flatMap(({ span, shares, layers }): LayerHint[] => {
    // A line some of whose layers are not known would show a sum that is not one.
    if (shares.length === 0 || shares.length < layers || span.endLine >= view.lines.length) return [];
    return [{ position: { line: span.endLine, character: Math.min(span.endColumn, view.lines[span.endLine]!.length) }, label: labelOf(shares), tooltip: tooltipOf(shares) }];
  });
}

function labelOf(shares: readonly Share[]): string {
  const bits = shares.map(({ codeBits }) => codeBits);
  const [low, high] = [Math.min(...bits), Math.max(...bits)];
  const tied = shares.every(({ layer }) => layer.tiedTo !== null);
  const bytes = shares.reduce((sum, { layer, bytes: own }) => sum + (layer.tiedTo === null ? own : 0), 0);
  const size = tied ? 'shared' : bytesText(bytes);
  return `${low === high ? (low === 1 ? '1 bit' : `${bitsText(low)} bits`) : `${low}–${high} bits`} · ${shares.length > 1 ? `${shares.length} layers, ` : ''}${size}`;
}

function tooltipOf(shares: readonly Share[]): string {
  const byFormat = new Map<string, Share[]>();
  for (const share of shares) byFormat.set(share.format, [...(byFormat.get(share.format) ?? []), share]);
  const lines = [...byFormat].slice(0, 6).map(([format, own]) =>
    `${code(format)}: ${code(layersText(own.map(({ layer }) => layer.path)))}${own.length > 1 ? ` (${countText(own.length, 'layer')})` : ''}`);
  const why = shares[0]!.source === 'recipe' ? 'From the recipe.' : 'Suggested: the smallest measured format that keeps the SQNR above the threshold, measured on the weights alone.';
  return [...lines, ...(byFormat.size > 6 ? ['…'] : []), why].join('\n\n');
}
