/**
 * Everything the journeys know about VS Code's workbench, in one place: prefer roles and names over class names.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium, type Browser, type Frame, type FrameLocator, type Page } from 'playwright-core';

const root = process.env.BITLENS_ROOT!;
export const exampleFolder = path.join(root, 'examples/shakespeare-gpt');
const results = process.env.BITLENS_RESULTS ?? path.join(root, 'test-results');

interface ServedHost {
  readonly url: string;
  readonly profile: string;
  setSettings(settings: Record<string, unknown>): void;
  stop(): void;
}
interface HostModule {
  serve(options: { vsix?: string; settings?: Record<string, unknown>; trust?: boolean }): Promise<ServedHost>;
  temporaryCopy(folder: string): string;
}

export const THEMES = {
  light: 'Default Light Modern',
  dark: 'Default Dark Modern',
  'high-contrast': 'Default High Contrast',
} as const;
export type Theme = keyof typeof THEMES;

export class Workbench {
  /** Hosts other than our own that the page asked for: there must be none. */
  readonly foreignRequests: string[] = [];

  private constructor(readonly page: Page, readonly folder: string, private readonly browser: Browser, private readonly host: ServedHost) {
    page.on('request', (request) => {
      const url = new URL(request.url());
      // vscode-cdn.net is the name VS Code gives a webview's own files; its service worker answers them from the extension's folder.
      const own = url.hostname === '127.0.0.1' || url.hostname.endsWith('.vscode-resource.vscode-cdn.net');
      if (/^https?:|^wss?:/.test(url.protocol) && !own) this.foreignRequests.push(request.url());
    });
  }

  /** Installs the packed VSIX in a fresh profile, opens a copy of a folder, and waits for the workbench. */
  static async open(options: { folder?: string; theme?: Theme; settings?: Record<string, unknown>; trust?: boolean } = {}): Promise<Workbench> {
    const hostModule = (await import(pathToFileURL(path.join(root, 'scripts/host/serve.mjs')).href)) as HostModule;
    const { host: installed } = (await import(pathToFileURL(path.join(root, 'scripts/host/install.mjs')).href)) as { host: { chromium: string | null } };
    if (!installed.chromium) throw new Error('install chromium to run the journeys');
    const theme = options.theme ?? 'dark';
    const settings = theme === 'high-contrast'
      ? { 'workbench.colorTheme': THEMES[theme], ...options.settings }
      : { 'window.autoDetectColorScheme': true, 'workbench.preferredLightColorTheme': THEMES.light, 'workbench.preferredDarkColorTheme': THEMES.dark, ...options.settings };
    const folder = options.folder ?? hostModule.temporaryCopy(exampleFolder);
    const host = await hostModule.serve({ vsix: process.env.BITLENS_VSIX ?? path.join(root, 'bitlens.vsix'), settings, trust: options.trust });
    const browser = await chromium.launch({ executablePath: installed.chromium, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'] });
    const page = await browser.newPage({ viewport: { width: 1500, height: 940 }, colorScheme: theme === 'light' ? 'light' : 'dark' });
    page.setDefaultTimeout(30_000);
    const workbench = new Workbench(page, folder, browser, host);
    await page.goto(`${host.url}/?folder=${encodeURIComponent(folder)}`);
    await page.locator('.monaco-workbench').waitFor();
    await page.getByRole('treeitem', { name: /model\.py/ }).first().waitFor();
    // Installed extensions are known a moment after the workbench is drawn: our place in the activity bar says so.
    await page.getByRole('tab', { name: /^Bitlens/ }).first().waitFor();
    return workbench;
  }

  /** Opens a file from the explorer. */
  async openFile(name: string): Promise<void> {
    await this.page.getByRole('treeitem', { name: new RegExp(`^${name.replaceAll('.', '\\.')}`) }).first().dblclick();
    await this.page.getByRole('tab', { name: new RegExp(name.replaceAll('.', '\\.')) }).first().waitFor();
  }

  private get quickInput() { return this.page.locator('.quick-input-widget input.input').first(); }
  /** Entries of the open list: options to choose one of, or boxes to check. */
  private get quickList() { return this.page.locator('.quick-input-list .monaco-list-row'); }
  /** The entry that Enter takes. */
  private get chosenEntry() { return this.page.locator('.quick-input-list .monaco-list-row.focused').first(); }

  /** True once the quick input has taken this text: it is gone, or asks the next question. */
  private async taken(text: string): Promise<boolean> {
    for (let waited = 0; waited < 4000; waited += 100) {
      if (!(await this.quickInput.isVisible())) return true;
      if ((await this.quickInput.inputValue().catch(() => text)) !== text) return true;
      await this.page.waitForTimeout(100);
    }
    return false;
  }

  /**
   * Opens a quick input, types, and accepts: again when a busy machine swallowed a key. A list is accepted only once the entry
   * that Enter takes is the wanted one: until the filter has run it is the command used last.
   */
  private async ask(open: string, text: string, option: RegExp | null): Promise<void> {
    for (let attempt = 0; attempt < 5; attempt++) {
      try {
        await this.leaveWebview();
        await this.page.keyboard.press(open);
        await this.quickInput.waitFor({ timeout: 5000 });
        await this.quickInput.fill(text, { timeout: 5000 });
        if (option) await this.chosenEntry.filter({ hasText: option }).waitFor({ timeout: 10_000 });
        await this.quickInput.press('Enter', { timeout: 5000 });
        if (await this.taken(text)) return;
      } catch (error) {
        if (attempt === 4) throw error;
      }
      await this.page.keyboard.press('Escape');
    }
    throw new Error(`the workbench did not take "${text}"`);
  }

  /** Keys pressed while a webview has the keyboard reach the workbench late, or never. */
  private async leaveWebview(): Promise<void> {
    await this.page.evaluate(() => { if (document.activeElement instanceof HTMLIFrameElement) document.activeElement.blur(); });
  }

  /**
   * Runs a command by its title through the command palette.
   * @param first what to pick in the list that the command opens. The palette also closes when something else takes the
   *   keyboard from it, and nobody can see which it was; so a command whose list does not come is run again.
   */
  async command(title: string, first?: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await this.ask('F1', `>${title}`, literally(title));
      if (first === undefined) return;
      if (await this.asked(attempt * 8000)) return this.pick(first);
      if (attempt === 4) throw new Error(`"${title}" opened no list`);
    }
  }

  /** True once a quick pick of a command's own is open: the palette that ran the command may still be closing. */
  private async asked(timeout: number): Promise<boolean> {
    for (let waited = 0; waited < timeout; waited += 100) {
      const text = await this.quickInput.inputValue({ timeout: 1000 }).catch(() => '>');
      if (!text.startsWith('>') && (await this.quickList.first().isVisible())) return true;
      await this.page.waitForTimeout(100);
    }
    return false;
  }

  /** Answers the open quick pick by typing what leaves the wanted entry first. */
  async pick(text: string): Promise<void> {
    if (!(await this.asked(30_000))) throw new Error(`no list to pick "${text}" from opened`);
    await this.quickInput.fill(text);
    await this.chosenEntry.filter({ hasText: literally(text) }).waitFor();
    await this.quickInput.press('Enter');
    if (!(await this.taken(text))) throw new Error(`the quick pick did not take "${text}"`);
  }

  /** Checks entries of the open quick pick, and accepts. */
  async pickMany(...texts: string[]): Promise<void> {
    if (!(await this.asked(30_000))) throw new Error(`no list to pick "${texts.join('", "')}" from opened`);
    for (const text of texts) await this.quickList.filter({ hasText: literally(text) }).first().click();
    await this.quickInput.press('Enter');
  }

  /** Answers the open input box (a path to save to, say) once it shows what it proposes. */
  async answer(proposed: RegExp, text: string): Promise<void> {
    for (let waited = 0; ; waited += 100) {
      if (proposed.test(await this.quickInput.inputValue().catch(() => ''))) break;
      if (waited > 30_000) throw new Error(`nothing proposes ${proposed}`);
      await this.page.waitForTimeout(100);
    }
    await this.quickInput.fill(text);
    await this.page.keyboard.press('Enter');
    if (!(await this.taken(text))) await this.page.keyboard.press('Enter');
  }

  /**
   * Opens a page and waits for its frame. The first webview of a browser waits for its service worker, which on a busy
   * machine is now and then never answered: the page stays blank until its tab is closed and opened again.
   */
  async openPage(open: () => Promise<void>, selector: string): Promise<Frame> {
    for (let attempt = 1; ; attempt++) {
      await open();
      try {
        return await this.webview(selector, attempt * 45_000);
      } catch (error) {
        if (attempt === 3) throw error;
        // By its button: the palette is not sure to open above a page that is blank.
        await this.page.locator('.tabs-container .tab.active .codicon-close').first().click({ timeout: 5000 }).catch(() => undefined);
      }
    }
  }

  /** The inner frame of the webview that is open and has an element matching `selector`. */
  async webview(selector: string, timeout = 60_000): Promise<Frame> {
    const deadline = Date.now() + timeout;
    for (;;) {
      for (const frame of this.page.frames()) {
        if (frame.name() !== 'active-frame' && !frame.url().includes('fake.html')) continue;
        if (await frame.locator(selector).count().catch(() => 0)) return frame;
      }
      if (Date.now() > deadline) throw new Error(`no webview shows ${selector}`);
      await this.page.waitForTimeout(100);
    }
  }

  webviewLocator(): FrameLocator {
    return this.page.frameLocator('iframe.webview.ready').frameLocator('iframe#active-frame');
  }

  /** Waits until a notification has this text and returns its text. Running a model on a busy machine takes minutes. */
  async notification(text: RegExp): Promise<string> {
    const item = this.page.locator('.notification-list-item').filter({ hasText: text }).first();
    await item.waitFor({ timeout: 400_000 });
    return item.innerText();
  }

  /** Puts the cursor on a line (counted from 1) and scrolls it into view. */
  async goToLine(line: number): Promise<void> {
    await this.ask('Control+g', `:${line}`, null);
    await this.quickInput.waitFor({ state: 'hidden' });
  }

  /** Switches between light and dark as the operating system does; high contrast is a session of its own. */
  async theme(theme: 'light' | 'dark'): Promise<void> {
    await this.page.emulateMedia({ colorScheme: theme });
    await this.page.locator(theme === 'light' ? '.monaco-workbench.vs' : '.monaco-workbench.vs-dark').waitFor();
  }

  /** Keeps a picture as a test artefact. */
  async screenshot(name: string): Promise<void> {
    mkdirSync(results, { recursive: true });
    await this.page.screenshot({ path: path.join(results, `${name}.png`) });
  }

  async close(): Promise<void> {
    await this.browser.close();
    this.host.stop();
  }
}

const literally = (text: string): RegExp => new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i');

/** Runs axe in a webview's frame; returns one line a violation. */
export async function axeViolations(frame: Frame): Promise<string[]> {
  const source = readFileSync(path.join(root, 'node_modules/axe-core/axe.min.js'), 'utf8');
  await frame.evaluate(source);
  return frame.evaluate(async () => {
    const axe = (globalThis as unknown as { axe: { run(): Promise<{ violations: { id: string; help: string; nodes: { html: string; failureSummary?: string }[] }[] }> } }).axe;
    const { violations } = await axe.run();
    return violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.failureSummary ?? ''}`).join(' | ')}`);
  });
}
