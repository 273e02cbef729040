// The operator and the adapter with a thousand pipelines. `./bench` starts it, inside the local cluster.
//
//   bench [--write]      --write puts the table into docs/benchmarks.md
//
// CIO_BENCH_PIPELINES (1000); CIO_BENCH_QUIET_SECONDS (600); CIO_BENCH_MOVING_SECONDS (120); CIO_BENCH_LIMIT_SECONDS (3600) of it all.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { start, stop, stopAll } from '../lib/processes.mjs';
import { write } from '../lib/report.mjs';
import { machine, wholeNumber } from '../lib/settings.mjs';
import { fakeNodes } from './kwok.mjs';
import { install } from './ours.mjs';
import { makeNamespaces } from './pipelines.mjs';
import { appear, ask, moving, quiet, restart } from './phases.mjs';
import { markdown } from './report.mjs';

const REPO = resolve(import.meta.dirname, '../../..');
const TOOLS = join(REPO, 'target/bench');

function settings() {
  const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
  const { CIO_BENCH_PIPELINES, CIO_BENCH_QUIET_SECONDS, CIO_BENCH_MOVING_SECONDS, CIO_BENCH_STAGES, CIO_BENCH_AUDIT } = process.env;
  return {
    write: values.write,
    pipelines: wholeNumber('CIO_BENCH_PIPELINES', CIO_BENCH_PIPELINES || 1000, 1),
    quietSeconds: wholeNumber('CIO_BENCH_QUIET_SECONDS', CIO_BENCH_QUIET_SECONDS || 600, 1),
    movingSeconds: wholeNumber('CIO_BENCH_MOVING_SECONDS', CIO_BENCH_MOVING_SECONDS || 120, 1),
    stages: CIO_BENCH_STAGES,
    audit: CIO_BENCH_AUDIT,
  };
}

async function measure(given) {
  console.error(`${given.pipelines} pipelines: fake nodes, the stub, the chart`);
  const kwok = await fakeNodes(join(TOOLS, 'bin/kwok'), given.stages, given.pipelines * 2);
  const stub = start('stub', process.execPath, [join(import.meta.dirname, 'stub.mjs')]);
  install(join(REPO, 'charts/cio-operator'));
  await makeNamespaces();
  const figures = {};
  const phases = { appear, quiet, ask, moving, restart };
  for (const [name, phase] of Object.entries(phases)) {
    console.error(`${name}:`);
    figures[name] = await phase(given, { kwok, stub });
    console.error(JSON.stringify(figures[name]));
  }
  await stop(stub);
  await stop(kwok);
  return figures;
}

function report(given, figures) {
  const { write: asked, stages, audit, ...shown } = given;
  const all = { settings: shown, machine: machine(), ...figures };
  const path = join(TOOLS, 'scale.json');
  mkdirSync(TOOLS, { recursive: true });
  writeFileSync(path, `${JSON.stringify(all, null, 2)}\n`);
  const text = markdown(all);
  console.log(text);
  console.error('\nwritten: target/bench/scale.json');
  if (asked) {
    write(join(REPO, 'docs/benchmarks.md'), 'make bench-scale', text);
    console.error('written: docs/benchmarks.md');
  }
}

for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) {
  process.on(signal, () => process.exit(code));
}
process.on('exit', stopAll);

try {
  const given = settings();
  report(given, await measure(given));
  process.exit(0);
} catch (error) {
  console.error(`error: ${error.stack}`);
  process.exit(error instanceof TypeError ? 2 : 1);
}
