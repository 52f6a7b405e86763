import { CheckpointError, type CheckpointProblem } from './checkpoint';

/** Refuses a file: throws one {@link CheckpointError} with what is wrong, where, and what to do. */
export function refuse(path: string, message: string, fix: string, where: { offset?: number; tensor?: string } = {}): never {
  throw new CheckpointError({ code: 'BL406', grade: 'malformed', message, fix, ...where }, path);
}

/** The usual remedy for a file that is cut or damaged. */
export const FETCH_AGAIN = 'Download or copy the file again, and compare its size with the source';
export const SAVE_AGAIN = 'Save the checkpoint again with the program that wrote it';

/** A number with its noun, and a verb where one follows: "1 byte is", "2 bytes are". */
export function counted(count: number | bigint, noun: string, verb?: readonly [one: string, many: string]): string {
  const one = Number(count) === 1;
  return `${count} ${one ? noun : noun.replace(/y$/, 'ie')}${one ? '' : 's'}${verb ? ` ${verb[one ? 0 : 1]}` : ''}`;
}
export const IS = ['is', 'are'] as const;

/** A name out of a file, short and printable enough for a message. Control and direction characters are shown as escapes. */
export function shown(name: string, longest = 200): string {
  if (name === '') return '""';
  const cut = name.length > longest ? `${name.slice(0, longest)}...` : name;
  // eslint-disable-next-line no-control-regex
  return cut.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Findings on a file that can still be shown. A hostile file can cause millions: beyond `most` they are only counted. */
export class ProblemList {
  private readonly kept: CheckpointProblem[] = [];
  private dropped = 0;

  constructor(private readonly most: number) {}

  add(grade: 'questionable' | 'information', message: string, fix: string, where: { offset?: number; tensor?: string } = {}, code: CheckpointProblem['code'] = 'BL406'): void {
    if (this.kept.length >= this.most) this.dropped++;
    else this.kept.push({ code, grade, message, fix, ...where });
  }

  addAll(problems: readonly CheckpointProblem[]): void {
    for (const problem of problems) {
      if (this.kept.length >= this.most) this.dropped++;
      else this.kept.push(problem);
    }
  }

  list(): CheckpointProblem[] {
    if (this.dropped === 0) return this.kept;
    return [...this.kept, { code: 'BL406', grade: 'questionable', message: `${this.dropped} more problems are not listed`, fix: SAVE_AGAIN }];
  }
}
