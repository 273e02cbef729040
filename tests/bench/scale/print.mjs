// Figures of run.mjs, and of keda.mjs where there are some → a table; with --write also in docs/benchmarks.md.
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { write } from '../lib/report.mjs';
import { markdown } from './report.mjs';

const REPO = resolve(import.meta.dirname, '../../..');
const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });

const figures = (name) => {
  const path = join(REPO, 'target/bench', name);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : null;
};

const text = markdown(figures('scale.json'), figures('scale-keda.json'));
console.log(text);
console.error('\nwritten: target/bench/scale.json');
if (values.write) {
  write(join(REPO, 'docs/benchmarks.md'), 'make bench-scale', text);
  console.error('written: docs/benchmarks.md');
}
