/** Where progress is drawn: nothing is, unless it is a terminal. */
export interface Screen {
  isTTY?: boolean;
  write(text: string): unknown;
}

const DRAW_EVERY_MS = 100;

const CLEAR_LINE = '\r\u001b[K';

/** Hands items on, and draws how many there were in one line that is gone in the end. */
export async function* withProgress<T>(
  items: AsyncIterable<T>,
  { screen, what, total }: { screen: Screen; what: string; total: number },
): AsyncGenerator<T> {
  if (!screen.isTTY) {
    yield* items;
    return;
  }
  let done = 0;
  let drawnAt = -Infinity;
  try {
    for await (const item of items) {
      if (Date.now() - drawnAt >= DRAW_EVERY_MS) {
        screen.write(`${CLEAR_LINE}${what}: ${done} of ${total}`);
        drawnAt = Date.now();
      }
      yield item;
      done += 1;
    }
  } finally {
    screen.write(CLEAR_LINE);
  }
}
