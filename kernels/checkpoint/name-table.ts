/** Longest run of taken slots that is walked; more is no accident, and a Map takes over. */
const LONGEST_WALK = 256;

/**
 * Which names were met, and where last. A Map of a million long names takes longer than reading them; this keeps two
 * integers for each. Names made to collide cost no more than a Map does.
 */
export class NameTable {
  private slots = new Int32Array(1024);
  /** Hash of the name at each index. */
  private hashes = new Int32Array(512);
  private map: Map<string, number> | null = null;

  /** @param nameOf the name given at an index; called for indices that were added */
  constructor(private readonly nameOf: (index: number) => string, private readonly hash: (name: string) => number = hashOf) {}

  /** Notes that `name` stands at `index`, which counts up from 0. @returns the last index before it with the same name, or -1 */
  add(name: string, index: number): number {
    if (this.map) return this.addToMap(this.map, name, index);
    if (index >= this.hashes.length) this.grow();
    const hash = this.hash(name);
    this.hashes[index] = hash;
    const { slots } = this;
    const mask = slots.length - 1;
    for (let at = hash & mask, walked = 0; ; at = (at + 1) & mask, walked++) {
      const taken = slots[at]! - 1;
      if (taken < 0 || (this.hashes[taken] === hash && this.nameOf(taken) === name)) {
        slots[at] = index + 1;
        return taken;
      }
      if (walked > LONGEST_WALK) return this.addToMap(this.toMap(), name, index);
    }
  }

  private addToMap(map: Map<string, number>, name: string, index: number): number {
    const earlier = map.get(name) ?? -1;
    map.set(name, index);
    return earlier;
  }

  private toMap(): Map<string, number> {
    const map = new Map<string, number>();
    for (const slot of this.slots) if (slot > 0) map.set(this.nameOf(slot - 1), slot - 1);
    this.slots = new Int32Array(0);
    return this.map = map;
  }

  /** Doubles the table: it is never more than half full. */
  private grow(): void {
    const hashes = new Int32Array(this.hashes.length * 2);
    hashes.set(this.hashes);
    const before = this.slots;
    const slots = new Int32Array(hashes.length * 2);
    const mask = slots.length - 1;
    for (const slot of before) {
      if (slot === 0) continue;
      let at = hashes[slot - 1]! & mask;
      while (slots[at] !== 0) at = (at + 1) & mask;
      slots[at] = slot;
    }
    this.hashes = hashes;
    this.slots = slots;
  }
}

function hashOf(name: string): number {
  let hash = name.length;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x9e3779b1);
  return hash ^ (hash >>> 15);
}
