import assert from 'node:assert/strict';

/** What a Prometheus endpoint served once. */
export class Scrape {
  readonly text: string;

  private constructor(text: string) {
    this.text = text;
  }

  static async of(address: string): Promise<Scrape> {
    const response = await fetch(`http://${address}/metrics`);
    assert.equal(response.status, 200);
    return new Scrape(await response.text());
  }

  /** The values of the series that have these labels among theirs. */
  values(name: string, labels: Record<string, string> = {}): number[] {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    return this.text.split('\n').flatMap((line) => {
      const [, found, has = '', value] = /^(\w+)\{(.*)\} (\S+)$/.exec(line) ?? [];
      return found === name && wanted.every((label) => has.split(',').includes(label)) ? [Number(value)] : [];
    });
  }

  /** As `sum` of PromQL; 0 where there is no series. */
  sum(name: string, labels?: Record<string, string>): number {
    return this.values(name, labels).reduce((sum, value) => sum + value, 0);
  }

  /** As `max` of PromQL, which passes over NaN; undefined where there is none. */
  max(name: string, labels?: Record<string, string>): number | undefined {
    return this.values(name, labels)
      .filter((value) => !Number.isNaN(value))
      .sort((a, b) => b - a)[0];
  }
}
