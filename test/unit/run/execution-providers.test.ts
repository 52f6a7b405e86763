/** Execution providers: what the process is told, what is refused, what figures say of it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { executionProviders, PROVIDERS_VARIABLE, ranOn, refuseAbsent } from '../../../kernels/run/execution-providers';
import { kernelEnvironment } from '../../../server/kernel/launch';

test('the kernel process is told through its environment, and nothing told is the processor', () => {
  assert.deepEqual(executionProviders(kernelEnvironment({}, ['CUDA', 'cpu', 'cuda'])), ['cuda', 'cpu']);
  assert.deepEqual(executionProviders(kernelEnvironment({})), ['cpu']);
  assert.deepEqual(executionProviders({ [PROVIDERS_VARIABLE]: ' , ' }), ['cpu']);
  // What the program around was started with is not the setting.
  assert.deepEqual(executionProviders(kernelEnvironment({ [PROVIDERS_VARIABLE]: 'cuda' })), ['cpu']);
});

test('a provider that the platform lacks is refused by name, with those that it has', () => {
  assert.doesNotThrow(() => { refuseAbsent(['webgpu', 'cpu'], ['cpu', 'webgpu']); });
  assert.throws(() => { refuseAbsent(['coreml', 'cpu'], ['cpu', 'webgpu']); }, /no execution provider "coreml"; it has cpu, webgpu\. Change bitlens\.executionProviders/);
});

test('figures name what they were run by unless it is the processor', () => {
  assert.equal(ranOn(['cpu']), '');
  assert.equal(ranOn(['cuda', 'cpu']), ' (run by cuda, cpu)');
});
