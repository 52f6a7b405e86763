import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { openCheckpoint, CheckpointError } from '../../../kernels/checkpoint';
import { dataPath, needsData } from '../../support/data';
import { openBytes } from './support';

/** What each file would import beyond tensors, as far as its first opcodes say; read off the files by hand. */
const IMPORTS: Record<string, readonly string[]> = {
  'malicious0.pkl': ['__builtin__.globals', '__builtin__.compile', '__builtin__.eval', '__builtin__.getattr', '__builtin__.apply'],
  'malicious1.zip': ['builtins.eval'], 'malicious1_0x1.zip': ['builtins.eval'], 'malicious1_0x20.zip': ['builtins.eval'], 'malicious1_0x40.zip': ['builtins.eval'],
  'malicious1_central_directory.zip': ['builtins.eval'], 'malicious1_wrong_ext.zip': ['builtins.eval'],
  'malicious1_v0.pkl': ['__builtin__.eval'], 'malicious1_v3.pkl': ['builtins.eval'], 'malicious1_v4.pkl': ['builtins.eval'],
  'malicious2_v0.pkl': ['posix.system'], 'malicious2_v3.pkl': ['posix.system'], 'malicious2_v4.pkl': ['posix.system'],
  'malicious3.pkl': ['httplib.HTTPSConnection'], 'malicious4.pickle': ['requests.api.get'], 'malicious5.pickle': ['aiohttp.client.ClientSession'],
  'malicious6.pkl': ['requests.api.get'], 'malicious7.pkl': ['socket.create_connection'], 'malicious8.pkl': ['subprocess.run'], 'malicious9.pkl': ['sys.exit'],
  'malicious10.pkl': ['__builtin__.exec'], 'malicious11.pkl': ['os.system'], 'malicious12.pkl': ['operator.attrgetter', 'builtins.__import__'],
  'malicious13a.pkl': ['pickle.loads'], 'malicious13b.pkl': ['_pickle.loads'], 'malicious14.pkl': ['runpy._run_code'],
  'malicious15a.pkl': ['__builtin__.getattr', 'bdb.Bdb'], 'malicious15b.pkl': ['bdb.Bdb.run', 'bdb.Bdb'], 'malicious16.pkl': ['pip.main'],
  'malicious17.pkl': ['torch._inductor.codecache.compile_file'], 'malicious18.pkl': ['pydoc.pipepager'], 'malicious19.pkl': ['functools.partial', 'torch.serialization.load'],
  'malicious20.pkl': ['venv.create'], 'malicious-invalid-bytes.pkl': ['os.system'], 'broken_model.pkl': ['builtins.exec'],
  'pytorch_magic_bypass.pt': ['__builtin__.eval', 'posix.system'], 'sys_module_override_sploit.pkl': ['<computed>.<computed>'],
};
const HARMLESS = new Set(['benign0_v0.pkl', 'benign0_v3.pkl', 'benign0_v4.pkl', 'new_pytorch_model.bin', 'pytorch_model.bin', 'not_a_pickle.bin']);
/** No pickles: a picture, an archive of another kind, an encrypted zip of a text. */
const REFUSED = new Set(['bad_pytorch.pt', 'malicious1.7z', 'benign_password_protected.zip']);

test('every hostile file is read to a list of imports, and none is called safe', async (t) => {
  if (!needsData(t, 'oracles/hostile-pickles')) return;
  const files = readdirSync(dataPath('oracles/hostile-pickles')).filter((name) => name !== 'PROVENANCE.md');
  assert.equal(files.length, 46);
  for (const file of files) {
    const path = dataPath(`oracles/hostile-pickles/${file}`);
    if (REFUSED.has(file)) {
      await assert.rejects(openCheckpoint(path), (error) => error instanceof CheckpointError && error.problem.grade === 'malformed', file);
      continue;
    }
    const checkpoint = await openCheckpoint(path);
    const beyond = checkpoint.imports.filter((item) => item.kind === 'code').map((item) => `${item.module}.${item.name}`);
    if (HARMLESS.has(file)) assert.deepEqual(beyond, [], file);
    else assert.deepEqual(beyond, IMPORTS[file], file);
    const found = checkpoint.problems.filter((problem) => problem.code === 'BL407');
    assert.equal(found.length, checkpoint.imports.some((item) => item.kind !== 'tensor') ? 1 : 0, file);
    for (const problem of checkpoint.problems) assert.ok(!/\b(safe|clean|harmless)\b/i.test(problem.message), `${file}: ${problem.message}`);
  }
});

test('a zip whose headers disagree is opened, and the difference is told', async (t) => {
  if (!needsData(t, 'oracles/hostile-pickles')) return;
  const messages = async (file: string): Promise<string> => (await openCheckpoint(dataPath(`oracles/hostile-pickles/${file}`))).problems.map((problem) => problem.message).join('\n');
  assert.match(await messages('malicious1_central_directory.zip'), /different name/);
  for (const file of ['malicious1_0x1.zip', 'malicious1_0x20.zip', 'malicious1_0x40.zip']) assert.match(await messages(file), /marked as encrypted/, file);
});

test('a pickle that breaks gives what came before, and where it broke', async (t) => {
  if (!needsData(t, 'oracles/hostile-pickles')) return;
  const bytes = readFileSync(dataPath('oracles/hostile-pickles/broken_model.pkl'));
  const result = await openBytes(bytes);
  assert.ok('checkpoint' in result);
  const broke = result.checkpoint.problems.find((problem) => /breaks/.test(problem.message));
  assert.ok(broke && broke.offset !== undefined && broke.offset < bytes.length);
});

test('hostile files cut or padded anywhere are opened or refused, nothing else', async (t) => {
  if (!needsData(t, 'oracles/hostile-pickles')) return;
  for (const file of readdirSync(dataPath('oracles/hostile-pickles'))) {
    const bytes = readFileSync(dataPath(`oracles/hostile-pickles/${file}`));
    for (let length = 0; length < Math.min(bytes.length, 400); length++) await openBytes(bytes.subarray(0, length));
    await openBytes(Buffer.concat([bytes, Buffer.alloc(100)]));
    await openBytes(Buffer.concat([Buffer.from('junk before'), bytes]));
  }
});
