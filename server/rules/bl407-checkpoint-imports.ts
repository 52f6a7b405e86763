import { checkpointName } from './facts';
import type { Rule } from './rule';
import { countText, listText, plain, sentence } from './text';

export const checkpointImports: Rule = {
  code: 'BL407',
  name: 'checkpoint-imports',
  title: 'Checkpoint imports beyond tensors',
  defaultSeverity: 'warning',
  needs: 'checkpoint',
  explanation: `
A pickle is a program. \`torch.load\` without \`weights_only=True\` imports and calls what the file names. Bitlens never does: it
reads the instructions, lists the imports, and follows only those that describe tensors.

A **warning** when a name is known to run code (\`os.system\`, \`builtins.eval\`, ...); information when the names are merely
outside the set that PyTorch's \`weights_only\` accepts, as in checkpoints that hold a whole training state.

**What to do:** do not load the file with Python unless you trust where it comes from. Ask for safetensors, or save the plain
state dict.
`,
  * check(analysis) {
    const { checkpoint } = analysis;
    if (!checkpoint) return;
    const beyond = checkpoint.imports.filter(({ kind }) => kind !== 'tensor');
    const file = checkpointName(analysis);
    const evidence = 'listed from the file, which was not executed';
    if (beyond.length > 0) {
      const code = beyond.filter(({ kind }) => kind === 'code');
      const named = (code.length > 0 ? code : beyond).map(({ module, name }) => plain(`${module}.${name}`, 80));
      const unique = [...new Set(named)];
      yield {
        message: code.length > 0
          ? sentence(`${file} imports ${countText(unique.length, 'name')} known to run code: ${listText(unique, 5)}. Bitlens did not run it; do not load it with torch.load(weights_only=False) (${evidence})`)
          : sentence(`${file} imports ${countText(unique.length, 'name')} beyond tensors: ${listText(unique, 5)} (${evidence})`),
        severity: code.length > 0 ? 'warning' : 'information',
        span: null, evidence,
      };
      return;
    }
    for (const { message, fix, grade } of checkpoint.problems.filter(({ code }) => code === 'BL407').slice(0, 3)) {
      yield { message: `${file}: ${plain(sentence(message), 600)} ${plain(sentence(fix), 400)}`, severity: grade === 'information' ? 'information' : 'warning', span: null, evidence };
    }
  },
};
