// How long a question about a metric takes on one connection that is kept, through the API server as the HPA asks; and, in turn with it
// on the same connection, one that the API server answers by itself: what the machine and the API server cost anybody.
import { ask, connections } from './api.mjs';

const WARM = 50;

function summary(times) {
  times.sort((a, b) => a - b);
  const at = (part) => times[Math.min(times.length - 1, Math.floor(times.length * part))];
  return { p50: at(0.5), p99: at(0.99), most: times.at(-1) };
}

/** Asks `count` times, the paths in turn: milliseconds of both kinds at p50 and p99, and how many answers held no value. */
export async function latency(paths, own, count) {
  const agent = connections(1);
  const times = { metric: [], own: [] };
  let empty = 0;
  const timed = async (path, kind, number) => {
    const started = performance.now();
    const answer = await ask('GET', path, undefined, { agent });
    if (number >= WARM) times[kind].push(performance.now() - started);
    return answer;
  };
  for (let number = 0; number < count + WARM; number += 1) {
    const { items } = await timed(paths[number % paths.length], 'metric', number);
    if (items.length === 0) empty += 1;
    await timed(own[number % own.length], 'own', number);
  }
  agent.destroy();
  return { ...summary(times.metric), own: summary(times.own), requests: count, empty };
}
