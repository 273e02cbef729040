// One run: a backlog, a worker, what it took; and the proof that every job was delivered once.
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { counts, failedReason, fill, lastFinished } from './backlog.mjs';
import { cpuSeconds, machineCpuSeconds, peakMemory } from './proc.mjs';
import { alive, freePort, start, stop } from './processes.mjs';

const POLL_MS = 50;
const STUCK_MS = 60_000;
const PER = 10_000;

/** Runs one contestant until its queue is empty. */
export async function measure(contestant, jobs, { redis, simulator }) {
  await simulator.forget();
  await fill(redis, jobs);
  const cpuOf = (worker) => ({
    worker: worker ? cpuSeconds(worker.pid) : 0,
    redis: cpuSeconds(redis.pid),
    simulator: cpuSeconds(simulator.pid),
    bench: cpuSeconds(process.pid),
    machine: machineCpuSeconds(),
  });
  const before = cpuOf();
  const startedAt = Date.now();
  const worker = start(contestant.id, contestant.program, contestant.args, {
    ...contestant.env,
    REDIS_URL: redis.url,
    CUSTOMERIO_TRACK_URL: simulator.url,
    CIO_METRICS_PORT: String(await freePort()),
  });
  try {
    await emptied(worker, redis);
    const after = cpuOf(worker);
    const cpu = Object.fromEntries(Object.keys(after).map((name) => [name, after[name] - before[name]]));
    const othersShare = share(cpu, (Date.now() - startedAt) / 1000);
    const memory = peakMemory(worker.pid);
    const ended = await lastFinished(redis);
    const state = await simulator.state();
    exactlyOnce(contestant, state, jobs);
    const wall = (ended - startedAt) / 1000;
    return { ...figures({ jobs, cpu, memory, state, arrivals: await simulator.arrivals(), wall }), othersShare };
  } catch (error) {
    throw new Error(`${contestant.id}: ${error.message}\nits log:\n${worker.log()}`);
  } finally {
    await stop(worker);
  }
}

/** Which part of the machine processes had that are not of the bench, 0 to 1. */
function share({ worker, redis, simulator, bench, machine }, seconds) {
  const others = machine - worker - redis - simulator - bench;
  return Math.max(0, others / (seconds * cpus().length));
}

/** Waits until no job is left; a failed job or a standstill is an error. */
async function emptied(worker, redis) {
  let least = Infinity;
  let moved = performance.now();
  for (;;) {
    alive(worker);
    const { left, failed } = await counts(redis);
    if (failed > 0) throw new Error(`${failed} jobs failed, the first: ${await failedReason(redis)}`);
    if (left === 0) return;
    if (left < least) [least, moved] = [left, performance.now()];
    if (performance.now() - moved > STUCK_MS) throw new Error(`${left} jobs are left, and nothing moves`);
    await sleep(POLL_MS);
  }
}

// Each user has one identify and one track, and no job failed or is left. So: as many people as users, as many
// identify calls and events as jobs of each kind, and nothing refused, repeated or lost.
function exactlyOnce(contestant, state, jobs) {
  const events = Math.floor(jobs / 2);
  const identifies = jobs - events;
  const expected = {
    people: identifies,
    identifies,
    events,
    duplicates: 0,
    dropped: 0,
    invalid: 0,
    throttled: 0,
    // A batch's requests are fewer than its jobs; their answers are all 200 too.
    requests_by_status: JSON.stringify({ 200: contestant.id === 'cio-batch' ? state.requests : jobs }),
  };
  const found = { ...state, requests_by_status: JSON.stringify(state.requests_by_status) };
  const wrong = Object.keys(expected).filter((name) => found[name] !== expected[name]);
  if (wrong.length > 0) {
    const what = wrong.map((name) => `${name} is ${found[name]}, not ${expected[name]}`).join('; ');
    throw new Error(`not every job was delivered exactly once: ${what}`);
  }
}

function figures({ jobs, cpu, memory, state, arrivals, wall }) {
  const seconds = (arrivals.at(-1) - arrivals[0]) / 1e6;
  const each = (value) => (value * PER) / jobs;
  return {
    jobs,
    seconds,
    jobsPerSecond: jobs / seconds,
    jobsPerSecondWithStart: jobs / wall,
    workerCpu: each(cpu.worker),
    redisCpu: each(cpu.redis),
    simulatorCpu: each(cpu.simulator),
    memory,
    requests: state.requests,
    requestsPerSecond: state.requests / seconds,
    mostRequestsInASecond: state.max_requests_in_any_second,
  };
}
