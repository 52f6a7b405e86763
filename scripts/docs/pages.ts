/** The pages that are generated from the registries. */
import { SCALE_STORAGES } from '../../kernels/formats/scale';
import { families, listedFormats } from '../../kernels/formats/registry';
import { defaultLayout, EXPORT_LAYOUTS } from '../../kernels/jobs/layouts';
import { methods } from '../../kernels/methods/registry';
import { findingsPage } from '../../server/rules/docs';

const cell = (text: string): string => text.replaceAll('|', '\\|');
const rows = (catalogue: readonly string[]): string => (catalogue.length ? catalogue.map((id) => `\`${id}\``).join(', ') : '');

function formatsPage(): string {
  return `${[
    '# Number formats',
    '<!-- Generated from kernels/formats by `npm run docs`. Change the registry, not this page. -->',
    'Ids are parametric: any id of a grammar below can be used wherever a format is asked for. Channel means output channel; a group runs along the '
      + 'input dimension (the flattened kernel of a convolution), and a row that the group size does not divide is one group. '
      + 'Scales are stored in 32 bits and counted. A suffix rounds, stores and counts them otherwise:',
    '| suffix | scales | bits each |\n|---|---|--:|\n' + Object.entries(SCALE_STORAGES).filter(([name]) => name !== 'f32')
      .map(([name, { title, bits, outer }]) => `| \`-s${name}\` | ${title} | ${bits}${outer ? `, and 32 for each ${outer}` : ''} |`).join('\n'),
    ...families.map((family) => [
      `## ${family.title}`,
      `\`${family.grammar}\``,
      `\`\`\`text\n${family.layout}\n\`\`\``,
      `Checked against: ${family.oracle}. Source: ${family.source}.`,
      '| id | title | code bits | bits per weight | catalogue |\n|---|---|--:|--:|---|\n' + listedFormats().filter((format) => format.family === family.name)
        .map((format) => `| \`${format.id}\` | ${cell(format.title)} | ${format.codeBits} | ${format.nominalBitsPerWeight.toFixed(2)} | ${rows(format.catalogue)} |`).join('\n'),
    ].join('\n\n')),
    'Bits per weight are given for a row of 4,096 weights; reports and recipes count each layer exactly.',
    '## Layouts of exports',
    'How a file stores quantized weights: `--layout` of `bitlens quantize` and `bitlens convert`, `--export-layout` of `bitlens trial`. '
      + `Where none is named, safetensors files are written as \`${defaultLayout('safetensors')}\` and ONNX models as \`${defaultLayout('onnx')}\`.`,
    '| layout | files | what is stored |\n|---|---|---|\n' + EXPORT_LAYOUTS.map(({ id, files, detail }) => `| \`${id}\` | ${files.join(', ')} | ${cell(detail)} |`).join('\n'),
  ].join('\n\n')}\n`;
}

function methodsPage(): string {
  const kinds = [...new Set(methods().map((method) => method.kind))];
  return `${[
    '# Methods',
    '<!-- Generated from kernels/methods by `npm run docs`. Change the registry, not this page. -->',
    ...kinds.map((kind) => [`## ${kind}`, ...methods().filter((method) => method.kind === kind).map((method) => [
      `### ${method.id}`,
      `**${method.title}.** Needs: ${method.needs}.${method.catalogue.length ? ` Catalogue: ${rows(method.catalogue)}.` : ''}`,
      method.source,
      Object.entries(method.parameters).map(([name, schema]) => `- \`${name}\` (${schema.type}, default ${JSON.stringify(schema.default)}): ${schema.description}`).join('\n'),
    ].filter(Boolean).join('\n\n'))].join('\n\n')),
  ].join('\n\n')}\n`;
}

/** Path below the repository -> text. */
export const pages: Readonly<Record<string, () => string>> = {
  'docs/findings.md': findingsPage,
  'docs/formats.md': formatsPage,
  'docs/methods.md': methodsPage,
};
