/** One object that owns everything that lives as long as the extension: server, views' data, logs. Commands get it as their first argument. */
import * as vscode from 'vscode';
import { ServerClient } from './client';
import { Models } from './models';
import { TrialStore } from './trial-store';

export class Context {
  readonly log: vscode.LogOutputChannel;
  readonly server: ServerClient;
  readonly models: Models;
  readonly trials: TrialStore;

  constructor(readonly extension: vscode.ExtensionContext) {
    this.log = vscode.window.createOutputChannel('Bitlens', { log: true });
    this.server = new ServerClient(this.file('dist', 'server.js').fsPath, this.log);
    this.models = new Models(this.server, this.log);
    this.trials = new TrialStore(extension.workspaceState);
    extension.subscriptions.push(
      this.trials, this.models, this.server, this.log,
      vscode.workspace.onDidChangeConfiguration((event) => { if (event.affectsConfiguration('bitlens')) this.server.configurationChanged(); }),
      // The server was told at its start that it may only read; and settings that an untrusted workspace may not set take effect now.
      vscode.workspace.onDidGrantWorkspaceTrust(() => { void this.server.restart(); }),
      this.server.onDidChangeState((state) => { void vscode.commands.executeCommand('setContext', 'bitlens.server', state); }),
    );
  }

  /** A file of the installed extension. */
  file(...segments: string[]): vscode.Uri {
    return vscode.Uri.joinPath(this.extension.extensionUri, ...segments);
  }
}
