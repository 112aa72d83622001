import { strict as assert } from 'node:assert';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { packageRoot } from '../src/package-root';

/** Arrows that may run up for now, as `from -> to`. Each is a debt: the list is to be empty. */
const EXCEPTIONS: readonly string[] = [];

/** Rooms of the house by floor, the ground last, as CONTRIBUTING.md draws them. */
function floors(): string[][] {
  const page = readFileSync(join(packageRoot, 'CONTRIBUTING.md'), 'utf8');
  const [, drawn = ''] = /```house\n([\s\S]*?)```/.exec(page) ?? [];
  return drawn
    .trimEnd()
    .split('\n')
    .map((line) => line.split('  ')[0]?.trim().split(' ') ?? []);
}

function sourceFiles(): string[] {
  return ['src', 'local'].flatMap((folder) =>
    readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name)),
  );
}

/** Pages, compose files, what is deployed: whatever runs the product or says how. */
function outsiders(): string[] {
  const files = (folder: string, pattern: RegExp, recursive = false) =>
    readdirSync(join(packageRoot, folder), { recursive, encoding: 'utf8' })
      .filter((name) => pattern.test(name))
      .map((name) => join(folder, name));
  return [
    ...files('.', /\.md$|^Dockerfile$|^docker-compose.*\.yml$/),
    ...files('docs', /\.md$/),
    ...files('deploy', /\.(?:sh|ya?ml|json)$/, true),
    ...files('test/compose', /\.ts$/),
    ...files('test/end-to-end', /\.ts$/),
  ];
}

/** What a file imports of this package, types too. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(packageRoot, file), 'utf8');
  const written = text.matchAll(/(?:\bfrom|\bimport|\bimport\(|\brequire(?:\.resolve)?\()\s*'(\.[^']*)'/g);
  return [...written].map(([, path = '']) => fileAt(file, path));
}

function fileAt(from: string, path: string): string {
  // `import()` names what the build makes of a file.
  const base = resolve(packageRoot, dirname(from), path.replace(/\.js$/, ''));
  const found = [`${base}.ts`, join(base, 'index.ts'), base].find(
    (name) => existsSync(name) && statSync(name).isFile(),
  );
  assert.ok(found, `${from} imports ${path}, which is no file`);
  return relative(packageRoot, found);
}

/** `src/sources/sse/source.ts` is in the room `sources`, `src/metrics.ts` in the room `metrics`. */
function roomOf(file: string): string {
  const [top = '', room = ''] = file.split('/');
  return top === 'src' ? room.replace(/\.ts$/, '') : top;
}

describe('The house', () => {
  const files = sourceFiles();
  const imports = new Map(files.map((file) => [file, importsOf(file)]));
  const floorOf = new Map(floors().flatMap((rooms, floor) => rooms.map((room) => [room, floor] as const)));

  it('has every room in the picture of CONTRIBUTING.md, and no other', () => {
    const rooms = new Set(files.map(roomOf));
    assert.deepEqual([...floorOf.keys()].sort(), [...rooms].sort());
  });

  it('has no arrow that runs up', () => {
    const up = [...imports].flatMap(([from, all]) =>
      all.filter((to) => roomOf(from) !== roomOf(to) && !isBelow(to, from)).map((to) => `${from} -> ${to}`),
    );
    assert.deepEqual(up.sort(), [...EXCEPTIONS].sort());
  });

  it('has no circle', () => {
    assert.deepEqual(circles(), []);
  });

  it("has no page, image or script that names a file of the build: its layout is nobody else's", () => {
    const named = outsiders().flatMap((file) => {
      const [path] = /\bdist\/\S+\.js\b/.exec(readFileSync(join(packageRoot, file), 'utf8')) ?? [];
      return path === undefined ? [] : [`${file}: ${path}`];
    });
    assert.deepEqual(named, []);
  });

  /** Floors are counted from the roof. */
  function isBelow(one: string, other: string): boolean {
    return (floorOf.get(roomOf(one)) ?? -1) > (floorOf.get(roomOf(other)) ?? Infinity);
  }

  function circles(): string[] {
    const done = new Set<string>();
    const found: string[] = [];
    const walk = (file: string, way: readonly string[]): void => {
      if (way.includes(file)) found.push([...way.slice(way.indexOf(file)), file].join(' -> '));
      if (way.includes(file) || done.has(file)) return;
      for (const next of imports.get(file) ?? []) walk(next, [...way, file]);
      done.add(file);
    };
    for (const file of files) walk(file, []);
    return found;
  }
});
