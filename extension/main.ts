/** Table of contents of the VS Code client: what exists, and where. */
import * as vscode from 'vscode';
import { makeExports, type BitlensExports } from './api';
import { CHECKPOINT_OPTION_VIEW, CHECKPOINT_VIEW, CheckpointEditor } from './checkpoint-editor';
import { activations } from './commands/activations';
import { chooseCheckpoint } from './commands/choose-checkpoint';
import { chooseClass } from './commands/choose-class';
import { registerCommand, type Run } from './commands/command';
import { compareCheckpoints } from './commands/compare-checkpoints';
import { copyDebugInformation } from './commands/copy-debug-information';
import { evaluate } from './commands/evaluate';
import { exportReport } from './commands/export-report';
import { measureSensitivity } from './commands/measure-sensitivity';
import { nameData } from './commands/name-data';
import { openDocumentation, setSeverity } from './commands/findings';
import { inspectCheckpoint } from './commands/inspect-checkpoint';
import { copyLayerPath, revealLayer } from './commands/layers';
import { openExample } from './commands/open-example';
import { quantizeLayer } from './commands/quantize-layer';
import { runTrialCommand } from './commands/run-trial';
import { refreshLayers, restartKernel, restartServer, showLogs } from './commands/server-commands';
import { showReport } from './commands/show-report';
import { suggestAllocation } from './commands/suggest-allocation';
import { deleteTrial, revealTrialExport, showTrial } from './commands/trials';
import { Context } from './context';
import { REPORT_VIEW, ReportPanels } from './report/panel';
import { Status } from './status';
import { LayersTree } from './views/layers-tree';
import { TRIAL_SCHEME, TrialDocuments } from './views/trial-document';
import { TrialsTree } from './views/trials-tree';

/** What the suite inside the extension host may look at. */
export interface TestingExports extends BitlensExports {
  readonly testing: { readonly context: Context; readonly layers: LayersTree; readonly trials: TrialsTree; readonly reports: ReportPanels; readonly activationMs: number };
}

let active: Context | undefined;

export function activate(extension: vscode.ExtensionContext): BitlensExports | TestingExports {
  const begun = performance.now();
  const context = (active = new Context(extension));
  const reports = new ReportPanels(context);
  const layers = new LayersTree(context);
  const trials = new TrialsTree(context);
  const checkpoints = new CheckpointEditor(context);

  const commands: Record<string, Run> = {
    'bitlens.quantizeLayer': quantizeLayer,
    'bitlens.suggestAllocation': suggestAllocation,
    'bitlens.runTrial': runTrialCommand,
    'bitlens.activations': activations,
    'bitlens.evaluate': evaluate,
    'bitlens.nameData': nameData,
    'bitlens.measureSensitivity': measureSensitivity,
    'bitlens.showReport': showReport(reports),
    'bitlens.exportReport': exportReport,
    'bitlens.inspectCheckpoint': inspectCheckpoint,
    'bitlens.compareCheckpoints': compareCheckpoints,
    'bitlens.chooseCheckpoint': chooseCheckpoint,
    'bitlens.chooseClass': chooseClass,
    'bitlens.restartKernel': restartKernel,
    'bitlens.restartServer': restartServer,
    'bitlens.showLogs': showLogs,
    'bitlens.copyDebugInformation': copyDebugInformation,
    'bitlens.openExample': openExample,
    'bitlens.refreshLayers': refreshLayers,
    'bitlens.revealLayer': revealLayer,
    'bitlens.copyLayerPath': copyLayerPath,
    'bitlens.openDocumentation': openDocumentation,
    'bitlens.setSeverity': setSeverity,
    'bitlens.showTrial': showTrial,
    'bitlens.revealTrialExport': revealTrialExport,
    'bitlens.deleteTrial': deleteTrial,
  };
  extension.subscriptions.push(
    layers, trials, new Status(context),
    ...Object.entries(commands).map(([id, run]) => registerCommand(context, id, run)),
    vscode.window.registerWebviewPanelSerializer(REPORT_VIEW, reports),
    vscode.window.registerCustomEditorProvider(CHECKPOINT_VIEW, checkpoints, { supportsMultipleEditorsPerDocument: true }),
    vscode.window.registerCustomEditorProvider(CHECKPOINT_OPTION_VIEW, checkpoints, { supportsMultipleEditorsPerDocument: true }),
    vscode.workspace.registerTextDocumentContentProvider(TRIAL_SCHEME, new TrialDocuments(context.trials)),
  );
  // Not awaited: the editor must not wait for a process to start.
  void context.server.start();

  const exports = makeExports(context);
  if (extension.extensionMode !== vscode.ExtensionMode.Test) return exports;
  return { ...exports, testing: { context, layers, trials, reports, activationMs: performance.now() - begun } };
}

/** VS Code waits for this before it ends the host: the server shuts down in order. */
export async function deactivate(): Promise<void> {
  await active?.server.stop();
  active = undefined;
}
