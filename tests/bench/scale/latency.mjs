// How long a question about a metric takes on one connection that is kept, through the API server as the HPA asks.
import { ask, connections } from './api.mjs';

const WARM = 50;

/** Asks `count` times, the paths in turn; milliseconds at p50 and p99, and how many answers held no value. */
export async function latency(paths, count) {
  const agent = connections(1);
  const times = [];
  let empty = 0;
  for (let number = 0; number < count + WARM; number += 1) {
    const started = performance.now();
    const { items } = await ask('GET', paths[number % paths.length], undefined, { agent });
    if (number < WARM) continue;
    times.push(performance.now() - started);
    if (items.length === 0) empty += 1;
  }
  agent.destroy();
  times.sort((a, b) => a - b);
  const at = (part) => times[Math.min(times.length - 1, Math.floor(times.length * part))];
  return { p50: at(0.5), p99: at(0.99), most: times.at(-1), requests: count, empty };
}
