// The workers side by side: the same jobs, the same Redis, the same simulator, in turn. `./bench` starts it.
//
//   bench [--write]      --write puts the tables into docs/benchmarks.md
//
// CIO_BENCH_JOBS (60000) are the jobs of a run without limit, the other runs have theirs in proportion;
// CIO_BENCH_ROUNDS (3); CIO_BENCH_BINARY (target/release/cio).
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { limited, unlimited } from './lib/contestants.mjs';
import { leave, main, REPO } from './lib/main.mjs';
import { measure } from './lib/measure.mjs';
import { stop } from './lib/processes.mjs';
import { markdown, ratios, spread, summary } from './lib/report.mjs';
import { startRedis, startSimulator } from './lib/servers.mjs';
import { built, machine, wholeNumber } from './lib/settings.mjs';

const JOBS = 60_000;
const BATCH_JOBS = 200_000;
/** The guide's worker without its limit is slow, and as sure of its figures with a sixth. */
const SLOW_SHARE = 1 / 6;
/** The part of the machine that others may have before a run says so. */
const BUSY = 0.1;
const LIMIT = 80;
const LIMITED_SECONDS = 20;

function settings() {
  const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
  const { CIO_BENCH_JOBS, CIO_BENCH_ROUNDS, CIO_BENCH_BINARY } = process.env;
  const jobs = wholeNumber('CIO_BENCH_JOBS', CIO_BENCH_JOBS || JOBS, 100);
  const share = jobs / JOBS;
  return {
    write: values.write,
    binary: resolve(CIO_BENCH_BINARY || join(REPO, 'target/release/cio')),
    rounds: wholeNumber('CIO_BENCH_ROUNDS', CIO_BENCH_ROUNDS || 3, 1),
    jobs,
    slowJobs: Math.ceil(jobs * SLOW_SHARE),
    batchJobs: Math.ceil(BATCH_JOBS * share),
    // At least two seconds: the limit's first second is not like the others.
    guideJobs: LIMIT * Math.max(2, Math.ceil(LIMITED_SECONDS * share)),
    concurrency: 50,
    limit: LIMIT,
  };
}

/** Everything once a round, and another one first each round. */
function* schedule(given) {
  const free = unlimited(given.binary, given.concurrency).map((it) => ({
    table: 'unlimited',
    jobs: it.id === 'guide-unlimited' ? given.slowJobs : given.jobs,
    ...it,
  }));
  const bound = limited(given.binary, given.limit).map((it) => ({
    table: 'limited',
    jobs: it.id === 'cio-batch' ? given.batchJobs : given.guideJobs,
    ...it,
  }));
  for (let round = 1; round <= given.rounds; round += 1) {
    for (const table of [free, bound]) {
      for (let place = 0; place < table.length; place += 1) {
        yield { round, ...table[(place + round - 1) % table.length] };
      }
    }
  }
}

function progress(run) {
  const { round, contestant, jobs } = run;
  const figures = `${Math.round(run.jobsPerSecond)} jobs/s, ${run.workerCpu.toFixed(2)} CPU s per 10,000`;
  console.error(`round ${round}: ${contestant}: ${jobs} jobs, ${figures}, ${run.memory.toFixed(0)} MiB`);
  if (run.othersShare > BUSY) {
    console.error(`  ${Math.round(run.othersShare * 100)} % of the machine went to something else: not figures to quote`);
  }
}

async function runAll(given) {
  console.error('starting redis-server and the simulator');
  const redis = await startRedis();
  const simulator = await startSimulator(given.binary);
  const runs = [];
  for (const step of schedule(given)) {
    console.error(`round ${step.round}: ${step.id}: ${step.jobs} jobs …`);
    const figures = await measure(step, step.jobs, { redis, simulator });
    runs.push({ table: step.table, round: step.round, contestant: step.id, ...figures });
    progress(runs.at(-1));
  }
  redis.client.disconnect();
  await Promise.all([stop(simulator), stop(redis)]);
  return runs;
}

function report(given, runs) {
  const of = (table, contestants) => summary(contestants, runs.filter((run) => run.table === table));
  const free = of('unlimited', unlimited(given.binary, given.concurrency));
  const bound = of('limited', limited(given.binary, given.limit));
  const { binary, write: asked, ...shown } = given;
  const packages = JSON.parse(readFileSync(join(import.meta.dirname, 'package.json'), 'utf8')).dependencies;
  const othersShare = spread(runs.map((run) => run.othersShare));
  const all = { settings: shown, machine: machine(), packages, othersShare, unlimited: free, limited: bound };
  const json = { ...all, ratios: { unlimited: ratios(free), limited: ratios(bound) }, runs };
  leave({ name: 'worker', heading: 'make bench', json, text: markdown(all), asked });
}

await main(async () => {
  const given = settings();
  built(given.binary);
  report(given, await runAll(given));
});
