/** Code lenses above the class of the model: how much it is now, how much it would be, and what to do about it. */
import type { ModelSummary, Range } from '../protocol';
import { bitsText, bytesText, countText } from '../rules/text';
import { firstLineRange, rootSpan, type DocumentView } from './document';

export interface ModelLens {
  readonly range: Range;
  readonly command: { readonly title: string; readonly command: string; readonly arguments: readonly unknown[] };
}

/** The first lens: layers, size now and after, or why that is not known. */
function headline(view: DocumentView, summary: ModelSummary): string {
  const { analysis } = view;
  // A tied layer is given bits where its weight is: the report and the trial count the same.
  const rows = summary.layers.filter((row) => row.weight !== null && row.tiedTo === null);
  const layers = countText(rows.length > 0 ? rows.length : summary.layers.length, 'layer');
  if (analysis!.checkpointError) return `${layers} · checkpoint refused`;
  if (!analysis!.checkpoint) return `${layers} · no checkpoint`;
  const { measurements } = analysis!;
  const size = `${layers} · ${bytesText(summary.bytes)}`;
  if (measurements.state === 'pending') return `${size} · measuring${measurements.total > 0 ? ` ${Math.floor(100 * measurements.done / measurements.total)} %` : ''}`;
  if (measurements.state === 'failed') return `${size} · not measured`;
  if (summary.bytesAfter === null || summary.averageBits === null) return size;
  return `${size} → ${bytesText(summary.bytesAfter)} at ${bitsText(Math.round(summary.averageBits * 100) / 100)} bits`;
}

/** Lenses of the document's model; none when it has no model or its class is in another file. */
export function codeLenses(view: DocumentView): ModelLens[] {
  const span = rootSpan(view);
  const { analysis, settings, uri } = view;
  if (!settings.codeLens || !analysis?.root || !span) return [];
  const summary = view.summary();
  if (!summary || summary.layers.length === 0) return [];
  const range = firstLineRange(span, view.lines);
  const target = { uri, root: analysis.root.name };
  const lens = (title: string, command: string): ModelLens => ({ range, command: { title, command, arguments: [target] } });
  if (!analysis.checkpoint) return [lens(headline(view, summary), 'bitlens.chooseCheckpoint'), lens('Choose checkpoint…', 'bitlens.chooseCheckpoint')];
  return [
    lens(headline(view, summary), 'bitlens.showReport'),
    lens('Show report', 'bitlens.showReport'),
    lens('Run PTQ trial', 'bitlens.runTrial'),
    lens('Suggest bits…', 'bitlens.suggestAllocation'),
  ];
}
