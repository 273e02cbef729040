// KEDA alone, for a test beside it: says "ready" once its API answers, and ends with SIGTERM.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { REPO, main } from '../lib/main.mjs';
import { alive } from '../lib/processes.mjs';
import { startKeda } from './keda_parts.mjs';

const LOOK_MS = 1000;

await main(async () => {
  const processes = await startKeda(join(REPO, 'target/bench/bin'), process.env.CIO_BENCH_KEDA_CRDS);
  console.log('ready');
  for (;;) {
    await sleep(LOOK_MS);
    processes.forEach(alive);
  }
});
