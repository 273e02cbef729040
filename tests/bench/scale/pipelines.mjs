// The pipelines: made all at once, then followed until each status says how it is.
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, each, merge, watch } from './api.mjs';

const NAMESPACES = 10;
const MAKERS = 8;
const EVERY_MS = 200;
const TELL_MS = 15_000;
const ALL = '/apis/cio.dev/v1alpha1/ciopipelines';

const seconds = (since) => (performance.now() - since) / 1000;

export const namespace = (number) => `bench-${number % NAMESPACES}`;
const folderOf = (number) => `/apis/cio.dev/v1alpha1/namespaces/${namespace(number)}/ciopipelines`;
const name = (number) => `queue-${number}`;

const pipeline = (number) => ({
  apiVersion: 'cio.dev/v1alpha1',
  kind: 'CioPipeline',
  metadata: { name: name(number), namespace: namespace(number) },
  spec: {
    queue: { redis: { url: 'redis://redis:6379' } },
    workspace: { credentialsSecretRef: { name: 'customerio' } },
    worker: { template: { nodeSelector: { type: 'kwok' }, tolerations: [{ key: 'kwok.x-k8s.io/node', operator: 'Exists' }] } },
  },
});

export async function makeNamespaces() {
  for (let number = 0; number < NAMESPACES; number += 1) {
    const body = { metadata: { name: namespace(number) } };
    await ask('POST', '/api/v1/namespaces', body, { fine: [409] });
  }
}

/** What is known of the pipelines: how many say something of their spec of now, and how many that pods are available. */
export async function follow() {
  const known = new Map();
  const is = (conditions, wanted) => conditions.some(({ type, status }) => type === wanted && status === 'True');
  const watching = await watch(ALL, ({ metadata, status = {} }) => {
    const conditions = status.conditions ?? [];
    const said = status.observedGeneration === metadata.generation && conditions.some(({ type }) => type === 'Ready');
    known.set(metadata.uid, { said, available: said && is(conditions, 'Available') && is(conditions, 'Ready'), metrics: said && is(conditions, 'MetricsAvailable') });
  });
  const count = (key) => [...known.values()].filter((one) => one[key]).length;
  return { said: () => count('said'), available: () => count('available'), metrics: () => count('metrics'), end: watching.end };
}

/** Waits until `number()` is at least `wanted`; how long that took, in seconds, or none after `limit` seconds. */
export async function until(what, number, wanted, since, limit, meanwhile = () => '') {
  let told = performance.now();
  for (;;) {
    if (number() >= wanted) return seconds(since);
    if (seconds(since) > limit) return null;
    if (performance.now() - told > TELL_MS) {
      told = performance.now();
      console.error(`  ${seconds(since).toFixed(0)} s: ${number()} of ${wanted} ${what}${meanwhile()}`);
    }
    await sleep(EVERY_MS);
  }
}

/** Makes pipelines; when the first was made, and how long making them took. */
export async function make(count) {
  const since = performance.now();
  const numbers = Array.from({ length: count }, (_, number) => number);
  await each(numbers, MAKERS, (number) => ask('POST', folderOf(number), pipeline(number)));
  return { since, took: seconds(since) };
}

/** Changes the spec of some, so that the operator has to act. */
export const change = (count) =>
  each(Array.from({ length: count }, (_, number) => number), MAKERS, (number) =>
    merge(`${folderOf(number)}/${name(number)}`, { spec: { autoscaling: { maxReplicas: 19 } } }),
  );

/** How many objects of ours there are. */
export async function objects() {
  const kinds = {
    ServiceAccounts: '/api/v1/serviceaccounts',
    PodDisruptionBudgets: '/apis/policy/v1/poddisruptionbudgets',
    Deployments: '/apis/apps/v1/deployments',
    HorizontalPodAutoscalers: '/apis/autoscaling/v2/horizontalpodautoscalers',
  };
  const found = {};
  for (const [kind, path] of Object.entries(kinds)) {
    const list = await ask('GET', `${path}?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dcio-operator`);
    found[kind] = list.items.length;
  }
  return found;
}
