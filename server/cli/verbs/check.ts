/** bitlens check: findings, as text, JSON or SARIF, with an exit code for CI. */
import path from 'node:path';
import { rules } from '../../rules/registry';
import type { Severity } from '../../rules/rule';
import { UserError } from '../../analysis/user-error';
import type { CheckedFinding, CheckedModel } from '../checking';
import { checkTarget, targetsOf } from '../checking';
import type { Verb } from '../context';
import { DATA_FLAGS, refuseData } from '../data-flags';
import { plain, plural } from '../output';
import { sarifLog } from '../sarif';
import { CHECKPOINT } from '../target';
import { version } from '../version';

/** --fail-on: findings of this severity or worse. Hints never fail a check. */
const FAILING: Readonly<Record<string, readonly Severity[]>> = {
  error: ['error'], warning: ['error', 'warning'], info: ['error', 'warning', 'information'], information: ['error', 'warning', 'information'],
};

/** A file imported by two models is reported once. */
function unique(models: readonly CheckedModel[]): CheckedFinding[] {
  const seen = new Set<string>();
  return models.flatMap(({ findings }) => findings).filter((finding) => {
    const { file, startLine, startColumn } = finding.span;
    const key = JSON.stringify([finding.code, file, startLine, startColumn, finding.message]);
    return seen.has(key) ? false : seen.add(key);
  });
}

const shownPath = (file: string): string => {
  const relative = path.relative(process.cwd(), file);
  return relative === '' || relative.startsWith('..') ? file : relative;
};

export const check: Verb = {
  command: {
    name: 'check',
    summary: 'Reports which layers will not survive low precision, and what is wrong between code and checkpoint.',
    positionals: [{ name: 'PATH', help: 'file.py, file.py:Class, a bitlens.json, or a folder', repeated: true }],
    flags: [CHECKPOINT,
      { name: 'recipe', value: 'R', help: 'recipe to check; else the one that bitlens.json names or that lies beside the source' },
      { name: 'target-format', value: 'F', help: 'format that layers are judged in (int4-sym-g128)' },
      { name: 'minimum-sqnr', value: 'DB', help: 'SQNR below which a layer is reported (20)' },
      { name: 'sarif', help: 'print SARIF 2.1.0 on stdout' },
      { name: 'fail-on', value: 'SEVERITY', help: 'exit 1 when there is a finding of this severity or worse (error)', choices: ['error', 'warning', 'info', 'information'] },
      { name: 'activations', help: 'also run the model on the data of bitlens.json or of these flags, for the findings BL2xx' },
      ...DATA_FLAGS,
      { name: 'no-measure', help: 'code and header only: no kernel process, no measured findings' }],
    notes: ['JSON: {findings: [{code, severity, message, file, line, column, endLine, endColumn, layer, layers, evidence}], suppressed, models: [{source, root, reason, checkpoint, layers, linked, evidence}]}'],
  },
  async run(context) {
    const { args } = context;
    if (!args.has('activations')) refuseData(args, 'is about the data of --activations, which is not given');
    const minimum = args.number('minimum-sqnr', 0);
    const targetFormat = args.text('target-format');
    const service = context.service({ ...(minimum === undefined ? {} : { minimumSqnrDb: minimum }), ...(targetFormat === undefined ? {} : { targetFormat }) });
    const targets = await targetsOf(args.positionals, context.signal);
    const models: CheckedModel[] = [];
    for (const { target, listed } of targets) {
      context.signal.throwIfAborted();
      const model = await checkTarget(service, target, listed, context);
      if (model) models.push(model);
    }
    if (models.length === 0 && args.has('checkpoint')) throw new UserError(`no file of ${args.positionals.join(', ')} holds a model that ${args.text('checkpoint')} fits`);
    const all = unique(models);
    const findings = all.filter((finding) => !finding.suppressed);
    const failing = FAILING[args.text('fail-on') ?? 'error']!;
    const exit = findings.some(({ severity }) => failing.includes(severity)) ? 1 : 0;
    if (args.has('sarif')) context.printJson(sarifLog(all, rules, process.cwd(), version()));
    else if (context.json) {
      context.printJson({
        findings: findings.map(({ code, severity, message, span, layer, layers, evidence, suggestion }) => ({
          code, severity, message, file: span.file, line: span.startLine + 1, column: span.startColumn + 1, endLine: span.endLine + 1, endColumn: span.endColumn + 1,
          ...(layer === undefined ? {} : { layer }), ...(layers === undefined ? {} : { layers }), evidence, ...(suggestion === undefined ? {} : { suggestion }),
        })),
        suppressed: all.length - findings.length,
        models: models.map(({ analysis }) => ({
          source: analysis.source, root: analysis.root!.name, reason: analysis.root!.reason, checkpoint: analysis.checkpointPath,
          layers: analysis.link?.layers.length ?? 0, linked: analysis.link?.layers.filter((layer) => layer.linked).length ?? 0,
          measured: analysis.measurements.state === 'ready' ? analysis.measurements.scans.size : 0,
          evidence: analysis.measurements.state === 'ready' ? analysis.measurements.evidence : 'code and header only',
        })),
      });
    } else {
      for (const { span, severity, code, message } of findings) context.print(`${shownPath(span.file)}:${span.startLine + 1}:${span.startColumn + 1}: ${severity} ${code}: ${plain(message, 2000)}\n`);
      const count = (severity: Severity): number => findings.filter((finding) => finding.severity === severity).length;
      const counts = (['error', 'warning', 'information', 'hint'] as const).map((severity) => [severity, count(severity)] as const).filter(([, number]) => number > 0);
      context.print(`${findings.length > 0 ? '\n' : ''}${plural(findings.length, 'finding')}${counts.length > 0 ? ` (${counts.map(([severity, number]) => `${number} ${severity}`).join(', ')})` : ''} in ${plural(models.length, 'model')}${all.length > findings.length ? `; ${all.length - findings.length} silenced by comments` : ''}\n`);
      for (const { analysis } of models) {
        const { measurements } = analysis;
        const evidence = measurements.state === 'ready' ? measurements.evidence : `${measurements.state === 'none' ? measurements.reason : 'code and header only'}`;
        context.print(`${shownPath(analysis.source)}: ${analysis.root!.name}, ${plural(analysis.link?.layers.length ?? 0, 'layer')}. ${evidence}\n`);
      }
    }
    return exit;
  },
};
