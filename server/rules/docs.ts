/** docs/findings.md, from the registry. */
import { rules } from './registry';

/** Where a diagnostic's code links to. */
export const FINDINGS_PAGE = 'https://github.com/bitlens/bitlens/blob/main/docs/findings.md';

/** Anchor of a rule's heading, which is the code alone so that links survive a new title. */
export const anchorOf = (code: string): string => code.toLowerCase();

const NEEDS: Readonly<Record<(typeof rules)[number]['needs'], string>> = {
  source: 'the source alone',
  checkpoint: 'the header of the checkpoint',
  measurements: 'a measurement of the weights (kernel process)',
  recipe: 'a recipe',
  activations: 'a run of the model on data (`bitlens check --activations`, `Bitlens: Gather Activation Statistics on Data`)',
};
const ROOMS: readonly (readonly [string, string])[] = [
  ['BL1', 'Weights and recipes'],
  ['BL2', 'Activations'],
  ['BL3', 'Numerics in training code'],
  ['BL4', 'Checkpoints'],
  ['BL5', 'Reading the source'],
];

/** The whole page, as text with a final newline. Written by `npm run docs`; a test holds file and registry together. */
export function findingsPage(): string {
  const sections = ROOMS.flatMap(([start, title]) => {
    const own = rules.filter(({ code }) => code.startsWith(start));
    if (own.length === 0) return [];
    return [`## ${title}`, ...own.map((rule) => [
      `### ${rule.code}`,
      `**${rule.title}** (\`${rule.name}\`)`,
      `Default severity: ${rule.defaultSeverity}. Needs: ${NEEDS[rule.needs]}.`,
      rule.explanation.trim(),
    ].join('\n\n'))];
  });
  const table = rules.map(({ code, title, defaultSeverity }) => `| [${code}](#${anchorOf(code)}) | ${title} | ${defaultSeverity} |`);
  return `${[
    '# Findings',
    '<!-- Generated from server/rules by `npm run docs`. Change the rule, not this page. -->',
    'Every finding sits on the line that constructs the layer and carries the number it is based on, with where that number comes from. '
      + 'Several layers made by one line (a loop, a class that is used many times) are one finding with the worst number.',
    '| code | finding | severity |\n|---|---|---|\n' + table.join('\n'),
    '## Severity and suppression',
    'Severities are set per rule in `bitlens.rules`: `"bitlens.rules": { "BL101": "error", "BL102": "off" }`. Without a setting, some rules grade their findings: '
      + 'a warning is only given for what will break accuracy or loading, advice is information or a hint.',
    '```python\nself.head = nn.Linear(dim, classes)  # bitlens: ignore[BL101]\nself.body = nn.Linear(dim, dim)      # bitlens: ignore[BL101, BL103]\nself.tail = nn.Linear(dim, dim)      # bitlens: ignore\n# bitlens: ignore-file[BL102]\n```',
    ...sections,
  ].join('\n\n')}\n`;
}
