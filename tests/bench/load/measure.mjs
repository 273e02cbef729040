// One run of one contestant at one rate: what it sent by the simulator's count, and what that cost it.
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSeconds, machineCpuSeconds, peakMemory } from '../lib/proc.mjs';
import { start, stop } from '../lib/processes.mjs';

const POLL_MS = 20;
const PER = 10_000;
/** A rate is held when so much of it arrived, as sent and as answered. */
const HELD = 0.99;
/** Beyond its time, a run has so long to end. */
const PATIENCE_MS = 60_000;

/** The last figures of a process before it is gone. */
async function watch(it, done, until) {
  let last = { cpu: 0, memory: 0 };
  while (it.ended === null) {
    try {
      last = { cpu: cpuSeconds(it.pid), memory: peakMemory(it.pid) };
    } catch {
      // It ended between two looks.
      break;
    }
    if (await done()) break;
    if (performance.now() > until) throw new Error('it does not end');
    await sleep(POLL_MS);
  }
  return last;
}

export async function measure(contestant, rate, seconds, simulator) {
  await simulator.forget();
  const before = { machine: machineCpuSeconds(), simulator: cpuSeconds(simulator.pid), bench: cpuSeconds(process.pid) };
  const startedAt = performance.now();
  const it = start(contestant.id, contestant.program, contestant.args, contestant.env);
  const done = async () => contestant.endsWithDelete === true && (await simulator.state()).deletes > 0;
  try {
    const { cpu, memory } = await watch(it, done, startedAt + seconds * 1000 + PATIENCE_MS);
    const simulatorCpu = cpuSeconds(simulator.pid) - before.simulator;
    const ours = cpu + simulatorCpu + cpuSeconds(process.pid) - before.bench;
    const wall = (performance.now() - startedAt) / 1000;
    const othersShare = Math.max(0, machineCpuSeconds() - before.machine - ours) / (wall * cpus().length);
    const state = await simulator.state();
    const requests = state.identifies + state.events;
    const bad = Object.entries(state.requests_by_status).find(([status]) => status !== '200');
    if (bad) throw new Error(`${bad[1]} answers were ${bad[0]}`);
    const arrivals = await simulator.arrivals();
    const span = (arrivals[requests - 1] - arrivals[0]) / 1e6;
    const achieved = (requests - 1) / span;
    return {
      requests,
      achieved,
      held: achieved >= rate * HELD && requests >= rate * seconds * HELD,
      cpu: (cpu * PER) / requests,
      simulatorCpu: (simulatorCpu * PER) / requests,
      memory,
      othersShare,
    };
  } catch (error) {
    throw new Error(`${contestant.id} at ${rate}/s: ${error.message}\nits log:\n${it.log()}`);
  } finally {
    // Only ours is still there, cleaning up a workspace that is emptied anyway.
    if (it.ended === null) it.child.kill('SIGKILL');
    await stop(it);
  }
}
