// What bounds the worker: fills a queue, runs it under perf or strace, prints where its time goes. `./profile` starts it.
//
//   profile [--mode single|batch] [--syscalls]
//
// CIO_BENCH_JOBS (60000), CIO_BENCH_BINARY (target/release/cio)
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { counts, fill } from './lib/backlog.mjs';
import { limited, unlimited } from './lib/contestants.mjs';
import { main } from './lib/main.mjs';
import { alive, folder, freePort, start, stop } from './lib/processes.mjs';
import { startRedis, startSimulator } from './lib/servers.mjs';

const SHOWN = 25;
const WIDTH = 110;
const data = join(folder, 'perf.data');

const tools = {
  perf: { package: 'linux-perf', output: data, args: ['record', '--event', 'cpu-clock', '--output'], end: ['--'] },
  strace: { package: 'strace', output: join(folder, 'strace.txt'), args: ['--follow-forks', '--summary-only', '--output'], end: [] },
};

function settings() {
  const options = { mode: { type: 'string', default: 'single' }, syscalls: { type: 'boolean', default: false } };
  const { values } = parseArgs({ options });
  const binary = resolve(process.env.CIO_BENCH_BINARY || join(import.meta.dirname, '../../target/release/cio'));
  const contestants = { single: unlimited(binary, 50)[0], batch: limited(binary, 0)[0] };
  if (!contestants[values.mode]) throw new TypeError(`--mode: ${values.mode} is neither single nor batch`);
  const jobs = Number(process.env.CIO_BENCH_JOBS || 60_000);
  return { binary, contestant: contestants[values.mode], syscalls: values.syscalls, jobs };
}

function installed(program) {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
  } catch {
    throw new TypeError(`${program} is missing: apt-get install ${tools[program].package}`);
  }
  return tools[program];
}

/** Runs the worker below the tool until its queue is empty; gives the tool's own process, ended. */
async function record({ binary, contestant, syscalls, jobs }) {
  const program = syscalls ? 'strace' : 'perf';
  const { args, output, end } = installed(program);
  const redis = await startRedis();
  const simulator = await startSimulator(binary);
  console.error(`adding ${jobs} jobs`);
  await fill(redis, jobs);
  console.error(`running the worker below ${program}`);
  const tool = start(program, program, [...args, output, ...end, contestant.program, ...contestant.args], {
    ...contestant.env,
    REDIS_URL: redis.url,
    CUSTOMERIO_TRACK_URL: simulator.url,
    CIO_METRICS_PORT: String(await freePort()),
  });
  while ((await counts(redis)).left > 0) {
    alive(tool);
    await sleep(50);
  }
  // The worker is the tool's child; the tool writes its result once that has ended.
  const children = execFileSync('pgrep', ['-P', String(tool.pid)], { encoding: 'utf8' });
  process.kill(Number(children.trim().split('\n')[0]), 'SIGTERM');
  await tool.end;
  redis.client.disconnect();
  await Promise.all([stop(simulator), stop(redis)]);
}

/** What perf counted, as `[share in percent, '.' or 'k' (the kernel), the function]`. */
function functions() {
  const report = execFileSync('perf', ['report', '--stdio', '--input', data, '--fields', 'overhead,sym'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 2 ** 28,
  });
  const found = report.matchAll(/^\s+(\d+\.\d+)%\s+\[(.)\]\s+(.*?)(?:\s+-)*\s*$/gm);
  return [...found].map(([, share, where, name]) => [Number(share), where, name]);
}

/** `a::b::c` and `<a::b as c>::d` belong to the crate `a`; what is not Rust goes by its own name. */
function owner(where, name) {
  if (where === 'k') return 'the kernel';
  return /^[<&(\[]*(?:mut |dyn )*([a-z_0-9]+)::/.exec(name)?.[1] ?? name;
}

function show(title, rows) {
  console.log(`\n${title}`);
  for (const [share, name] of rows.slice(0, SHOWN)) console.log(`${share.toFixed(1).padStart(6)} %  ${name.slice(0, WIDTH)}`);
}

function report() {
  const found = functions();
  const sums = new Map();
  for (const [share, where, name] of found) {
    const key = owner(where, name);
    sums.set(key, (sums.get(key) ?? 0) + share);
  }
  show('By crate, of its own time:', [...sums].map(([name, share]) => [share, name]).toSorted(([a], [b]) => b - a));
  show('By function:', found.map(([share, where, name]) => [share, where === 'k' ? `${name} (kernel)` : name]));
}

await main(async () => {
  const given = settings();
  await record(given);
  if (given.syscalls) console.log(readFileSync(tools.strace.output, 'utf8'));
  else report();
});
