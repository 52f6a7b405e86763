import type { Limits } from './limits';
import { CallNode, DictNode, isFilled, ListNode, NewNode, sequence, SetNode, TupleNode, type PickleNode, type PickleValue } from './pickle-nodes';
import { attributes, dictEntries, entry, keyText } from './pickle-views';
import { shown, type ProblemList } from './problems';
import { TensorRecordError, type TensorMatcher, type TensorRecord } from './torch-tensors';

export interface NamedRecord {
  readonly name: string;
  readonly record: TensorRecord;
  /** Path of the dict, list or module whose keys name the tensor; '' at the top. */
  readonly container: string;
}

/** Deepest nesting of containers that is walked. Python's own pickler stops near here. */
const DEEPEST = 1000;
const LONGEST_NAME = 65_536;

interface Visit {
  readonly value: PickleValue;
  readonly name: string;
  readonly depth: number;
  /** Path of what holds the value; in a module, of the outermost module around it. */
  readonly container: string;
  readonly inModule: boolean;
}

/**
 * Names every tensor below a pickled object, in the order of the pickle: keys and attributes joined with dots, list
 * places in brackets. A pickled nn.Module gives the names of its state_dict: `_parameters`, `_buffers` and `_modules`
 * do not show, buffers marked as not persistent are left out.
 *
 * A container that is reached again (tied modules) is walked again up to a limit, so that a pickle of shared references
 * cannot make the list longer than the file warrants.
 *
 * @param broken called with the name of a record that contradicts itself
 */
export function nameTensors(root: PickleValue, matcher: TensorMatcher, limits: Limits, problems: ProblemList, pickleBytes: number,
  broken: (name: string, error: TensorRecordError) => void): NamedRecord[] {
  const found = new Map<string, NamedRecord>();
  const seen = new Set<PickleNode>();
  let again = 0;
  let letters = 16 * 2 ** 20 + 4 * pickleBytes;
  const todo: Visit[] = [{ value: root, name: '', depth: 0, container: '', inModule: false }];
  const told = new Set<string>();
  const once = (message: string, fix: string): void => {
    if (told.has(message)) return;
    told.add(message);
    problems.add('questionable', message, fix);
  };
  while (todo.length > 0) {
    const visit = todo.pop()!;
    const { value, name, depth, container } = visit;
    if (!isContainer(value)) continue;
    let record: TensorRecord | null;
    try {
      record = matcher.match(value);
    } catch (error) {
      if (!(error instanceof TensorRecordError)) throw error;
      broken(name, error);
      continue;
    }
    if (record) {
      letters -= name.length;
      if (found.size >= limits.tensors || letters < 0) {
        once(`more tensors are named than are listed (${found.size})`, 'Save the weights alone, as a flat state dict');
        break;
      }
      if (found.has(name)) problems.add('questionable', `two tensors have the name ${shown(name)}; the later one is listed`, 'Save the weights with unique names', { tensor: name });
      found.set(name, { name, record, container });
      continue;
    }
    if (seen.has(value)) {
      if (++again > limits.sharedVisits) {
        once(`containers are shared in more than ${limits.sharedVisits} places; beyond that they are listed once`, 'Save the weights alone, as a flat state dict');
        continue;
      }
    } else seen.add(value);
    if (depth >= DEEPEST || name.length > LONGEST_NAME) {
      once(`containers are nested more than ${DEEPEST} deep or names are longer than ${LONGEST_NAME} characters; what lies deeper is not listed`, 'Save the weights alone, as a flat state dict');
      continue;
    }
    const children = childrenOf(value, visit);
    for (let i = children.length - 1; i >= 0; i--) todo.push(children[i]);
  }
  return [...found.values()];
}

function isContainer(value: PickleValue): value is PickleNode {
  return value instanceof TupleNode || isFilled(value);
}

function childrenOf(value: PickleNode, visit: Visit): Visit[] {
  const children: Visit[] = [];
  const { name } = visit;
  const depth = visit.depth + 1;
  let [container, inModule] = [name, false];
  const push = (child: PickleValue, path: string): void => { children.push({ value: child, name: path, depth, container, inModule }); };
  const join = (key: string): string => (name === '' ? key : `${name}.${key}`);
  const items = (list: readonly PickleValue[]): void => {
    list.forEach((item, i) => { if (isContainer(item)) push(item, `${name}[${i}]`); });
  };
  const keyed = (entries: readonly PickleValue[], skip?: ReadonlySet<string>): void => {
    for (let i = 0; i < entries.length; i += 2) {
      if (!isContainer(entries[i + 1])) continue;
      const key = keyText(entries[i]) ?? `<key ${i / 2}>`;
      if (!skip?.has(key)) push(entries[i + 1], join(key));
    }
  };
  if (value instanceof TupleNode || value instanceof ListNode || value instanceof SetNode) items(value.items);
  const own = dictEntries(value);
  if (own) keyed(own);
  if (!(value instanceof CallNode || value instanceof NewNode || value instanceof DictNode)) return children;
  const state = attributes(value);
  if (state) {
    const modules = entry(state, '_modules');
    const parameters = entry(state, '_parameters');
    if (modules !== undefined && parameters !== undefined) {
      [container, inModule] = [visit.inModule ? visit.container : name, true];
      const transient = new Set<string>();
      for (const key of namesIn(entry(state, '_non_persistent_buffers_set'))) transient.add(key);
      keyed(dictEntries(parameters) ?? []);
      keyed(dictEntries(entry(state, '_buffers') ?? null) ?? [], transient);
      keyed(dictEntries(modules) ?? []);
    } else keyed(state, HIDDEN);
  } else if (!own && !(value instanceof DictNode)) {
    // An object that is neither dict nor module: what it was made with.
    items(sequence(value.args) ?? []);
    if (value.state !== undefined && isContainer(value.state)) push(value.state, name);
  }
  if (!(value instanceof DictNode) && value.items.length > 0) items(value.items);
  return children;
}

/** Bookkeeping of state dicts. */
const HIDDEN: ReadonlySet<string> = new Set(['_metadata']);

/** Strings in a pickled set, however it was pickled. */
function namesIn(value: PickleValue | undefined): string[] {
  if (value instanceof SetNode) return value.items.filter((item) => typeof item === 'string');
  if (value instanceof CallNode) return (sequence(sequence(value.args)?.[0] ?? null) ?? []).filter((item) => typeof item === 'string');
  return [];
}
