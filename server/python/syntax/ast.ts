/**
 * Python syntax as the interpreter wants it: small plain objects made from tree-sitter nodes, so that evaluation never
 * crosses into WebAssembly. Positions are relative to the chunk (top-level statement) that the node belongs to, so that
 * text typed above a chunk moves it without making its syntax again.
 */
import type { SourceSpan } from '../module-tree';

/** A top-level statement of a file, as far as positions are concerned. */
export interface Anchor {
  readonly file: string;
  /** Line of the file on which the chunk starts now. */
  line: number;
}

export interface Located {
  readonly anchor: Anchor;
  /** Lines relative to the anchor, columns absolute, end exclusive. */
  readonly sl: number;
  readonly sc: number;
  readonly el: number;
  readonly ec: number;
}

/** Absolute span of a node, at the place where its chunk is now. */
export function spanOf(node: Located): SourceSpan {
  const base = node.anchor.line;
  return { file: node.anchor.file, startLine: base + node.sl, startColumn: node.sc, endLine: base + node.el, endColumn: node.ec };
}

export interface Argument { readonly name?: string; readonly star?: 1 | 2; readonly value: Expr }
export interface ComprehensionClause { readonly target: Expr; readonly iter: Expr; readonly conditions: readonly Expr[] }

export type Expr = Located & (
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'str'; readonly value: string }
  | { readonly kind: 'fstring'; readonly parts: readonly (string | FormatPart)[] }
  | { readonly kind: 'constant'; readonly value: true | false | null }
  | { readonly kind: 'ellipsis' }
  | { readonly kind: 'tuple' | 'list' | 'set'; readonly items: readonly Expr[] }
  | { readonly kind: 'dict'; readonly entries: readonly { readonly key: Expr | null; readonly value: Expr }[] }
  | { readonly kind: 'attribute'; readonly object: Expr; readonly name: string }
  | { readonly kind: 'subscript'; readonly object: Expr; readonly index: Expr }
  | { readonly kind: 'slice'; readonly start: Expr | null; readonly stop: Expr | null; readonly step: Expr | null }
  | { readonly kind: 'call'; readonly callee: Expr; readonly args: readonly Argument[] }
  | { readonly kind: 'unary'; readonly operator: string; readonly operand: Expr }
  | { readonly kind: 'binary'; readonly operator: string; readonly left: Expr; readonly right: Expr }
  | { readonly kind: 'logical'; readonly operator: 'and' | 'or'; readonly left: Expr; readonly right: Expr }
  | { readonly kind: 'compare'; readonly first: Expr; readonly rest: readonly { readonly operator: string; readonly value: Expr }[] }
  | { readonly kind: 'conditional'; readonly test: Expr; readonly then: Expr; readonly otherwise: Expr }
  | { readonly kind: 'lambda'; readonly definition: Definition }
  | { readonly kind: 'comprehension'; readonly of: 'list' | 'set' | 'dict' | 'generator'; readonly element: Expr; readonly value: Expr | null;
      readonly clauses: readonly ComprehensionClause[] }
  | { readonly kind: 'star'; readonly value: Expr }
  | { readonly kind: 'walrus'; readonly name: string; readonly value: Expr }
  | { readonly kind: 'yield'; readonly value: Expr | null; readonly from: boolean }
  | { readonly kind: 'error' }
);
export interface FormatPart { readonly value: Expr; readonly conversion: string; readonly spec: readonly (string | FormatPart)[] | null; readonly debug: string }

export interface Parameter {
  readonly name: string;
  readonly kind: 'normal' | 'positional' | 'keyword' | 'varargs' | 'kwargs';
  readonly default: Expr | null;
  readonly annotation: Expr | null;
  /** Its name. */
  readonly where?: Located;
}

/** A function's body is made only when the function is called: `forward` usually never is. */
export interface Body { statements(): readonly Stmt[]; readonly isGenerator: boolean }

export type Definition = Located & {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly body: Body;
  readonly decorators: readonly Expr[];
};

export type Stmt = Located & (
  | { readonly kind: 'expression'; readonly value: Expr }
  | { readonly kind: 'assign'; readonly targets: readonly Expr[]; readonly value: Expr }
  | { readonly kind: 'annotated'; readonly target: Expr; readonly annotation: Expr; readonly value: Expr | null }
  | { readonly kind: 'augmented'; readonly target: Expr; readonly operator: string; readonly value: Expr }
  | { readonly kind: 'if'; readonly test: Expr; readonly then: readonly Stmt[]; readonly otherwise: readonly Stmt[] }
  | { readonly kind: 'for'; readonly target: Expr; readonly iter: Expr; readonly body: readonly Stmt[]; readonly otherwise: readonly Stmt[] }
  | { readonly kind: 'while'; readonly test: Expr; readonly body: readonly Stmt[]; readonly otherwise: readonly Stmt[] }
  | { readonly kind: 'try'; readonly body: readonly Stmt[]; readonly handlers: readonly Handler[]; readonly otherwise: readonly Stmt[]; readonly final: readonly Stmt[] }
  | { readonly kind: 'with'; readonly items: readonly { readonly value: Expr; readonly target: Expr | null }[]; readonly body: readonly Stmt[] }
  | { readonly kind: 'function'; readonly definition: Definition }
  | { readonly kind: 'class'; readonly name: string; readonly bases: readonly Argument[]; readonly body: readonly Stmt[]; readonly decorators: readonly Expr[] }
  | { readonly kind: 'return'; readonly value: Expr | null }
  | { readonly kind: 'raise'; readonly value: Expr | null }
  | { readonly kind: 'assert'; readonly test: Expr }
  | { readonly kind: 'import'; readonly names: readonly { readonly module: string; readonly alias: string | null }[] }
  | { readonly kind: 'from'; readonly level: number; readonly module: string; readonly names: readonly { readonly name: string; readonly alias: string | null }[] | '*' }
  | { readonly kind: 'delete'; readonly targets: readonly Expr[] }
  | { readonly kind: 'scope'; readonly names: readonly string[]; readonly scope: 'global' | 'nonlocal' }
  | { readonly kind: 'match'; readonly subject: Expr; readonly cases: readonly { readonly pattern: Pattern; readonly guard: Expr | null; readonly body: readonly Stmt[] }[] }
  | { readonly kind: 'break' | 'continue' | 'pass' }
);
export interface Handler { readonly types: readonly string[]; readonly name: string | null; readonly body: readonly Stmt[] }

export type Pattern =
  | { readonly kind: 'any'; readonly name: string | null }
  | { readonly kind: 'value'; readonly value: Expr }
  | { readonly kind: 'or'; readonly options: readonly Pattern[] }
  | { readonly kind: 'sequence'; readonly items: readonly Pattern[]; readonly star: number }
  | { readonly kind: 'class'; readonly type: Expr; readonly keywords: readonly { readonly name: string; readonly pattern: Pattern }[]; readonly positional: number }
  | { readonly kind: 'mapping'; readonly entries: readonly { readonly key: Expr; readonly pattern: Pattern }[] }
  | { readonly kind: 'as'; readonly pattern: Pattern; readonly name: string }
  | { readonly kind: 'unknown' };
