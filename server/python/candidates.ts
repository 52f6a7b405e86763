/** What in a file can be the root of a tree: module classes, functions that return a module, instances at the top level. */
import type { RootCandidate } from './module-tree';
import { spanOf, type Expr, type Stmt } from './syntax/ast';
import { PyClass, PyFunction } from './values/values';
import { BudgetExceeded, PyRaise, type Machine } from './evaluation/machine';
import type { ModuleScope } from './evaluation/scope';
import { adjustableParameters, keywordParameters, missingArguments, undecorated } from './arguments';
import { FactorySearch, looksLikeModule } from './factories';

/** Does not throw: what cannot be decided is left out. */
export function findCandidates(machine: Machine, module: ModuleScope): RootCandidate[] {
  const found = new Map<string, RootCandidate>();
  const search = new FactorySearch(machine);
  for (const chunk of module.chunks) {
    try {
      for (const statement of chunk.statements()) for (const candidate of statementCandidates(machine, module, statement, search)) found.set(candidate.name, candidate);
    } catch (error) {
      if (!(error instanceof PyRaise || error instanceof BudgetExceeded || error instanceof RangeError)) throw error;
    }
  }
  return [...found.values()];
}

function statementCandidates(machine: Machine, module: ModuleScope, statement: Stmt, search: FactorySearch): RootCandidate[] {
  switch (statement.kind) {
    case 'class': {
      const cls = module.lookup(machine, statement.name);
      if (!(cls instanceof PyClass) || !looksLikeModule(cls)) return [];
      return [{ name: statement.name, kind: 'class', span: cls.span ?? spanOf(statement), missingArguments: missingArguments(machine, cls), parameters: keywordParameters(cls), adjustable: adjustableParameters(machine, cls) }];
    }
    case 'function': {
      const { definition } = statement;
      // Its own body first: files of models register hundreds of functions, and running all those decorators takes its time.
      const built = search.returns(definition, module);
      if (!built) return [];
      const value = module.lookup(machine, definition.name);
      if (!(value instanceof PyFunction)) return [];
      const fn = undecorated(value);
      const missing = missingArguments(machine, fn);
      if (definition.name.startsWith('_') && missing.length > 0) return [];
      return [{ name: definition.name, kind: 'function', span: spanOf(definition), missingArguments: missing, parameters: keywordParameters(fn), adjustable: adjustableParameters(machine, fn, built.open ? built.cls : null) }];
    }
    case 'assign': {
      const [target] = statement.targets;
      if (target?.kind !== 'name' || statement.value.kind !== 'call') return [];
      if (!search.givenBy(statement.value, module)) return [];
      return [{ name: target.name, kind: 'instance', span: spanOf(statement), missingArguments: [] }];
    }
    case 'if': case 'try': case 'with': {
      const blocks = statement.kind === 'if' ? [...statement.then, ...statement.otherwise] : statement.body;
      if (statement.kind === 'if' && isMainGuard(statement.test)) return [];
      return blocks.flatMap((inner) => statementCandidates(machine, module, inner, search));
    }
    default: return [];
  }
}
const isMainGuard = (test: Expr): boolean => test.kind === 'compare' && test.first.kind === 'name' && test.first.name === '__name__';
