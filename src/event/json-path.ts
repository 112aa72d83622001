/** @param path names of members, joined by dots */
export function membersOf(path: string): readonly string[] {
  return path.split('.');
}

/** @param members see {@link membersOf}. @returns undefined where there is no such member */
export function valueAt(event: object, members: readonly string[]): unknown {
  let value: unknown = event;
  for (const member of members) {
    // Own members only: `constructor` is no field of an event.
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, member)) return undefined;
    value = (value as Record<string, unknown>)[member];
  }
  return value;
}
