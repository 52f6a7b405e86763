/** `torch.autograd.Function`: gradients are no part of a model as it is used, so that `apply` is its `forward`. */
import { callValue } from '../evaluation/calls';
import { Builtin, Instance, PyClass, PyFunction } from '../values/values';
import { nothing } from './support';
import { nativeClass, objectClass } from './types';

export const functionClass = nativeClass('Function', {}, [objectClass], 'torch.autograd.Function');
const contextClass = nativeClass('FunctionCtx', {}, [objectClass], 'torch.autograd.function.FunctionCtx');
for (const name of ['save_for_backward', 'save_for_forward', 'mark_dirty', 'mark_non_differentiable', 'set_materialize_grads']) contextClass.dict.set(name, nothing(name));

functionClass.dict.set('apply', new Builtin('apply', (machine, args, site) => {
  const [cls, ...given] = args.positional;
  const forward = cls instanceof PyClass ? cls.lookup('forward') : undefined;
  if (!(cls instanceof PyClass) || !(forward instanceof PyFunction)) return machine.unknown('apply of a Function without a forward', site);
  const context = new Instance(contextClass, site);
  // With a setup_context of its own, forward is not given the context.
  return callValue(machine, forward, { ...args, positional: cls.lookup('setup_context') === undefined ? [context, ...given] : given }, site);
}, 'class'));
