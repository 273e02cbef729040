// What is measured, one after the other. Each phase gives its figures.
import { setTimeout as sleep } from 'node:timers/promises';
import { machineCpuSeconds } from '../lib/proc.mjs';
import { alive } from '../lib/processes.mjs';
import { count, mark, writes } from './audit.mjs';
import { cio, part } from './cost.mjs';
import { latency } from './latency.mjs';
import { USERS, answered, end, reconciled, requests } from './ours.mjs';
import * as pipelines from './pipelines.mjs';

// After this the phase is given up, and its figure is none.
const APPEAR_LIMIT_S = 900;
const RESTART_LIMIT_S = 240;
// After the last pod is available there are some words left to say: it is quiet once nothing was written for so long. What found
// no room in the operator's budget of writes is said at one of the pipeline's next looks.
const SETTLED_S = 130;
const SETTLE_LIMIT_S = 900;
const TELL_S = 60;
const QUESTIONS = 3000;
const CHANGED = 20;

const PARTS = ['kube-apiserver', 'kube-controller-manager', 'etcd', 'kube-scheduler'];

function costs() {
  const parts = Object.fromEntries(PARTS.map((name) => [name, part(name)]));
  return { operator: cio('operator'), adapter: cio('adapter'), ...parts, machine: { cpu: machineCpuSeconds() } };
}

/** CPU seconds since `before`, memory as it is now. */
function spent(before) {
  const now = costs();
  return Object.fromEntries(
    Object.entries(now).map(([name, cost]) => [name, { ...cost, cpu: cost.cpu - before[name].cpu }]),
  );
}

/** What happens during `work`: the writes of our service accounts, and what it cost. */
async function during(given, work) {
  const [from, before, since] = [mark(given.audit), costs(), performance.now()];
  const told = await work();
  const seconds = (performance.now() - since) / 1000;
  const kinds = writes(given.audit, from, USERS);
  return { ...told, seconds, writes: count(kinds), kinds, cost: spent(before) };
}

/** Waits, with a word now and then. */
async function wait(seconds, processes) {
  for (let left = seconds; left > 0; left -= TELL_S) {
    await sleep(Math.min(left, TELL_S) * 1000);
    processes.forEach(alive);
    if (left > TELL_S) console.error(`  ${left - TELL_S} s to go`);
  }
}

/** From the first pipeline until each status says how it is, and until each pod is available. */
export async function appear(given) {
  const followed = await pipelines.follow();
  const wanted = given.pipelines;
  const figures = await during(given, async () => {
    const { since, took } = await pipelines.make(wanted);
    console.error(`  made within ${took.toFixed(1)} s`);
    const meanwhile = () => `, ${followed.said()} say something, ${followed.available()} have their pods`;
    const said = await pipelines.until('say something', followed.said, wanted, since, APPEAR_LIMIT_S, meanwhile);
    console.error(`  every status says how it is: ${said?.toFixed(1)} s`);
    const available = await pipelines.until('have their pods', followed.available, wanted, since, APPEAR_LIMIT_S);
    console.error(`  every pod is available: ${available?.toFixed(1)} s`);
    const metrics = await pipelines.until('have their metric', followed.metrics, wanted, since, APPEAR_LIMIT_S);
    return { made: took, said, available, metrics, objects: await pipelines.objects() };
  });
  followed.end();
  return { ...figures, requests: await requests() };
}

/** Waits until our service accounts have written nothing for a while; how long that took, or none where they went on. */
async function settle(given, processes) {
  const since = performance.now();
  for (;;) {
    const from = mark(given.audit);
    await wait(SETTLED_S, processes);
    const seconds = (performance.now() - since) / 1000;
    if (count(writes(given.audit, from, USERS)) === 0) return seconds - SETTLED_S;
    if (seconds > SETTLE_LIMIT_S) return null;
  }
}

/** Nothing happens: nothing may be written. */
export async function quiet(given, { kwok, stub }) {
  const settled = await settle(given, [kwok, stub]);
  console.error(`  the last was said ${settled?.toFixed(0)} s after the pods were there`);
  const [looks, answers] = [await reconciled(), await answered()];
  const figures = await during(given, async () => await wait(given.quietSeconds, [kwok, stub]));
  const more = Object.entries(await answered()).map(([bound, count]) => [bound, count - answers[bound]]);
  return { ...figures, settled, reconciles: (await reconciled()) - looks, answers: Object.fromEntries(more) };
}

/** Questions as the HPA asks them, and between them as many that the API server answers by itself, from memory. */
export async function ask(given) {
  const path = (number) => {
    const selector = encodeURIComponent(`cio.dev/pipeline=queue-${number}`);
    return `/apis/custom.metrics.k8s.io/v1beta2/namespaces/${pipelines.namespace(number)}/pods/*/cio_queue_depth?labelSelector=${selector}`;
  };
  const paths = Array.from({ length: given.pipelines }, (_, number) => path(number));
  return await latency(paths, paths.map((_, number) => `/api/v1/namespaces/${pipelines.namespace(number)}?resourceVersion=0`), QUESTIONS);
}

/** Every queue's depth goes up and down, eighty-fold within a minute. */
export async function moving(given, { kwok, stub }) {
  stub.child.kill('SIGUSR2');
  const figures = await during(given, async () => await wait(given.movingSeconds, [kwok, stub]));
  stub.child.kill('SIGUSR2');
  return figures;
}

/** The operators end; what was changed while none was there has to be done, and everything looked at once. */
export async function restart(given) {
  const followed = await pipelines.follow();
  const changed = Math.min(CHANGED, given.pipelines);
  const since = performance.now();
  await end();
  const gone = (performance.now() - since) / 1000;
  await pipelines.change(changed);
  const acted = await pipelines.until('are up to date', followed.said, given.pipelines, since, RESTART_LIMIT_S);
  let looked = 0;
  const ask = setInterval(() => reconciled().then((number) => (looked = number), () => {}), 500);
  const caughtUp = await pipelines.until('were looked at', () => looked, given.pipelines, since, RESTART_LIMIT_S);
  clearInterval(ask);
  followed.end();
  return { gone, acted, caughtUp, requests: await requests(), memory: cio('operator') };
}
