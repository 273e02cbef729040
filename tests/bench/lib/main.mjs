// A benchmark's main block: from its settings to a JSON file, a table and an exit code, with nothing left running.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { stopAll } from './processes.mjs';
import { write } from './report.mjs';

/** The folder of Cargo.toml. */
export const REPO = resolve(import.meta.dirname, '../../..');

/** Runs `bench`; a TypeError is a wrong setting (exit 2), any other a failure (exit 1). */
export async function main(bench) {
  // The terminal's Ctrl-C reaches every process of the group, a plain `kill` only this one.
  for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) {
    process.on(signal, () => process.exit(code));
  }
  process.on('exit', stopAll);
  try {
    await bench();
  } catch (error) {
    console.error(`error: ${error.message}`);
    process.exit(error instanceof TypeError ? 2 : 1);
  }
}

/** Leaves `json` in target/bench/NAME.json and shows `text`, which `asked` puts into docs/benchmarks.md below `heading`. */
export function leave({ name, heading, json, text, asked }) {
  const path = join(REPO, 'target/bench', `${name}.json`);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `${JSON.stringify(json, null, 2)}\n`);
  console.log(text);
  console.error(`\nwritten: ${relative(process.cwd(), path)}`);
  if (asked) {
    write(join(REPO, 'docs/benchmarks.md'), heading, text);
    console.error('written: docs/benchmarks.md');
  }
}
