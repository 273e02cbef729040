// The operator and the adapter with a thousand pipelines. `./bench` starts it, inside the local cluster.
//
// CIO_BENCH_PIPELINES (1000); CIO_BENCH_QUIET_SECONDS (600); CIO_BENCH_MOVING_SECONDS (120); CIO_BENCH_LIMIT_SECONDS (3600) of it all.
// Figures go to target/bench/scale.json; print.mjs shows them.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { main } from '../lib/main.mjs';
import { start, stop } from '../lib/processes.mjs';
import { machine, wholeNumber } from '../lib/settings.mjs';
import { fakeNodes } from './kwok.mjs';
import { install } from './ours.mjs';
import { makeNamespaces } from './pipelines.mjs';
import { appear, ask, moving, quiet, restart } from './phases.mjs';

const REPO = resolve(import.meta.dirname, '../../..');
const TOOLS = join(REPO, 'target/bench');

function settings() {
  const { CIO_BENCH_PIPELINES, CIO_BENCH_QUIET_SECONDS, CIO_BENCH_MOVING_SECONDS, CIO_BENCH_STAGES, CIO_BENCH_AUDIT } = process.env;
  return {
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

function keep(given, figures) {
  const { stages, audit, ...shown } = given;
  mkdirSync(TOOLS, { recursive: true });
  writeFileSync(join(TOOLS, 'scale.json'), `${JSON.stringify({ settings: shown, machine: machine(), ...figures }, null, 2)}\n`);
}

await main(async () => {
  const given = settings();
  keep(given, await measure(given));
  // What watches the API server would go on.
  process.exit(0);
});
