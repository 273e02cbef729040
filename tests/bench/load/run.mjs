// `cio loadtest` beside k6 and oha: the same simulator, the same rates, in turn. `./bench` starts it.
//
//   bench [--write]      --write puts the table into docs/benchmarks.md
//
// CIO_BENCH_RATES (1000,2000,4000,8000,16000) in requests a second; CIO_BENCH_SECONDS (10) of a run; CIO_BENCH_ROUNDS (3);
// CIO_BENCH_BINARY (target/release/cio).
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { leave, main, REPO } from '../lib/main.mjs';
import { stop } from '../lib/processes.mjs';
import { spread } from '../lib/report.mjs';
import { startSimulator } from '../lib/servers.mjs';
import { built, machine, wholeNumber } from '../lib/settings.mjs';
import { contestants } from './contestants.mjs';
import { measure } from './measure.mjs';
import { markdown, ratios, summary } from './report.mjs';

const RATES = '1000,2000,4000,8000,16000';
const LATENCY_MS = 20;

function settings() {
  const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
  const { CIO_BENCH_RATES, CIO_BENCH_SECONDS, CIO_BENCH_ROUNDS, CIO_BENCH_BINARY } = process.env;
  return {
    write: values.write,
    programs: {
      binary: resolve(CIO_BENCH_BINARY || join(REPO, 'target/release/cio')),
      k6: join(REPO, 'target/bench/bin/k6'),
      oha: join(REPO, 'target/bench/bin/oha'),
    },
    rates: (CIO_BENCH_RATES || RATES).split(',').map((rate) => wholeNumber('CIO_BENCH_RATES', rate, 2)),
    seconds: wholeNumber('CIO_BENCH_SECONDS', CIO_BENCH_SECONDS || 10, 1),
    rounds: wholeNumber('CIO_BENCH_ROUNDS', CIO_BENCH_ROUNDS || 3, 1),
    latency: LATENCY_MS,
  };
}

async function runAll(given) {
  const simulator = await startSimulator(given.programs.binary, ['--latency', String(given.latency)]);
  const runs = [];
  for (let round = 1; round <= given.rounds; round += 1) {
    // Who did not hold a rate is not asked for a higher one.
    const out = new Set();
    for (const rate of given.rates) {
      const all = contestants(given.programs, simulator.url, rate, given.seconds);
      for (let place = 0; place < all.length; place += 1) {
        const contestant = all[(place + round - 1) % all.length];
        if (out.has(contestant.id)) continue;
        const figures = await measure(contestant, rate, given.seconds, simulator);
        runs.push({ round, rate, contestant: contestant.id, ...figures });
        if (!figures.held) out.add(contestant.id);
        const { achieved, cpu, memory, othersShare } = figures;
        console.error(
          `round ${round}: ${contestant.id} at ${rate}/s: ${Math.round(achieved)}/s${figures.held ? '' : ', not held'}, ` +
            `${cpu.toFixed(2)} CPU s per 10,000, ${memory.toFixed(0)} MiB, others ${Math.round(othersShare * 100)} %`,
        );
      }
    }
  }
  await stop(simulator);
  return runs;
}

function report(given, runs) {
  const names = contestants(given.programs, '', 2, 1).map(({ id, title }) => ({ id, title }));
  const { programs, write: asked, ...shown } = given;
  const all = {
    settings: shown,
    machine: machine(),
    othersShare: spread(runs.map((run) => run.othersShare)),
    contestants: summary(names, runs, given.rates, given.rounds),
    compared: ratios(names, runs, given.rates),
  };
  leave({ name: 'load', heading: 'make bench, load', json: { ...all, runs }, text: markdown(all), asked });
}

await main(async () => {
  const given = settings();
  built(given.programs.binary);
  report(given, await runAll(given));
});
