// KEDA with as many ScaledObjects on Redis lists, on a cluster of its own. `./bench` starts it after ours; KEDA=0 leaves it out.
//
// The settings are those of run.mjs. Figures go to target/bench/scale-keda.json.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { main } from '../lib/main.mjs';
import { alive, start } from '../lib/processes.mjs';
import { wholeNumber } from '../lib/settings.mjs';
import { ask, each, watch } from './api.mjs';
import { count, mark, writes } from './audit.mjs';
import { cost } from './cost.mjs';
import { NAMESPACE, REDIS_PORT, USERS, startKeda, startRedis } from './keda_parts.mjs';
import { fakeNodes } from './kwok.mjs';
import { latency } from './latency.mjs';
import { makeNamespaces, namespace, until } from './pipelines.mjs';

const TOOLS = resolve(import.meta.dirname, '../../../target/bench');
const { CIO_BENCH_PIPELINES, CIO_BENCH_QUIET_SECONDS, CIO_BENCH_STAGES, CIO_BENCH_AUDIT, CIO_BENCH_KEDA_CRDS } = process.env;
const COUNT = wholeNumber('CIO_BENCH_PIPELINES', CIO_BENCH_PIPELINES || 1000, 1);
const QUIET_S = wholeNumber('CIO_BENCH_QUIET_SECONDS', CIO_BENCH_QUIET_SECONDS || 600, 1);
// Its figures do not get better by waiting longer: its status writes use up its requests.
const READY_LIMIT_S = 300;
const QUIET_MOST_S = 180;
const PODS_LIMIT_S = 600;
const QUESTIONS = 3000;

const name = (number) => `list-${number}`;

const deployment = (number) => ({
  metadata: { name: name(number) },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: name(number) } },
    template: {
      metadata: { labels: { app: name(number) } },
      spec: {
        nodeSelector: { type: 'kwok' },
        tolerations: [{ key: 'kwok.x-k8s.io/node', operator: 'Exists' }],
        containers: [{ name: 'worker', image: 'worker', resources: { requests: { cpu: '100m' } } }],
      },
    },
  },
});

// Two pods have four entries each, of the five that one should have: nobody scales.
const scaledObject = (number) => ({
  apiVersion: 'keda.sh/v1alpha1',
  kind: 'ScaledObject',
  metadata: { name: name(number) },
  spec: {
    scaleTargetRef: { name: name(number) },
    minReplicaCount: 2,
    maxReplicaCount: 20,
    triggers: [{ type: 'redis', metadata: { address: `172.30.0.1:${REDIS_PORT}`, listName: name(number), listLength: '5' } }],
  },
});

const program = (wanted) => cost(({ name: found }) => found === wanted);
const costs = () => ({ operator: program('keda-operator'), adapter: program('keda-adapter') });

/** What happens during `work`, as for ours. */
async function during(work) {
  const [from, before, since] = [mark(CIO_BENCH_AUDIT), costs(), performance.now()];
  const told = await work();
  const seconds = (performance.now() - since) / 1000;
  const kinds = writes(CIO_BENCH_AUDIT, from, USERS);
  const after = costs();
  const spent = Object.fromEntries(Object.entries(after).map(([key, now]) => [key, { ...now, cpu: now.cpu - before[key].cpu }]));
  return { ...told, seconds, writes: count(kinds), kinds, cost: spent };
}

async function deployments(numbers) {
  await each(numbers, 8, (number) => ask('POST', `/apis/apps/v1/namespaces/${namespace(number)}/deployments`, deployment(number)));
  const available = new Set();
  const watching = await watch('/apis/apps/v1/deployments', ({ metadata, status }) => {
    if (metadata.name.startsWith('list-') && status?.availableReplicas === 2) available.add(metadata.uid);
  });
  const took = await until('have their pods', () => available.size, numbers.length, performance.now(), PODS_LIMIT_S);
  watching.end();
  if (took === null) throw new Error('the Deployments did not become available');
}

/** Makes them, and waits until all are ready; `ready` takes the names of those that are. */
async function appear(numbers, processes, ready) {
  const watching = await watch('/apis/keda.sh/v1alpha1/scaledobjects', ({ metadata, status }) => {
    const is = status?.conditions?.some(({ type, status: word }) => type === 'Ready' && word === 'True');
    if (is && status.hpaName) ready.add(metadata.name);
  });
  const since = performance.now();
  await each(numbers, 8, (number) => ask('POST', `/apis/keda.sh/v1alpha1/namespaces/${namespace(number)}/scaledobjects`, scaledObject(number)));
  const number = () => {
    processes.forEach(alive);
    return ready.size;
  };
  const took = await until('are ready', number, numbers.length, since, READY_LIMIT_S);
  watching.end();
  return { ready: took, of: ready.size };
}

const question = (number) => {
  const selector = encodeURIComponent(`scaledobject.keda.sh/name=${name(number)}`);
  return `/apis/external.metrics.k8s.io/v1beta1/namespaces/${namespace(number)}/s0-redis-${name(number)}?labelSelector=${selector}`;
};

async function measure() {
  const numbers = Array.from({ length: COUNT }, (_, number) => number);
  console.error(`KEDA, ${COUNT} ScaledObjects: fake nodes, Redis, Deployments`);
  await fakeNodes(join(TOOLS, 'bin/kwok'), CIO_BENCH_STAGES, COUNT * 2);
  await startRedis(numbers.map(name));
  await makeNamespaces();
  await deployments(numbers);
  const processes = await startKeda(join(TOOLS, 'bin'), CIO_BENCH_KEDA_CRDS);
  const ready = new Set();
  const appeared = await during(() => appear(numbers, processes, ready));
  console.error(JSON.stringify(appeared));
  const quiet = await during(async () => {
    await sleep(Math.min(QUIET_S, QUIET_MOST_S) * 1000);
    processes.forEach(alive);
  });
  console.error(JSON.stringify(quiet));
  // It answers with an error about one that is not ready.
  const answered = numbers.filter((number) => ready.has(name(number)));
  const asked = await latency(answered.map(question), answered.map((number) => `/api/v1/namespaces/${namespace(number)}?resourceVersion=0`), QUESTIONS);
  console.error(JSON.stringify(asked));
  return { version: '2.20.2', namespace: NAMESPACE, appear: appeared, quiet, ask: asked };
}

await main(async () => {
  const figures = await measure();
  mkdirSync(TOOLS, { recursive: true });
  writeFileSync(join(TOOLS, 'scale-keda.json'), `${JSON.stringify(figures, null, 2)}\n`);
  // What watches the API server would go on.
  process.exit(0);
});
