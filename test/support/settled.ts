import { eventually } from './eventually';

/** Resolves when a number has stayed as it is for so many looks in a row. */
export async function settled(what: string, number: () => number, looks = 8): Promise<void> {
  let last = number();
  let same = 0;
  await eventually(`${what} stay as they are`, () => {
    const now = number();
    same = now === last ? same + 1 : 0;
    last = now;
    return same >= looks;
  });
}
