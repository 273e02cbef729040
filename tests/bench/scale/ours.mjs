// The operator and the adapter, as the chart installs them, and what they tell of themselves.
import { execFileSync } from 'node:child_process';
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from './api.mjs';

const NAMESPACE = 'cio-system';
/** Whatever the chart's service accounts are called, their users begin so. */
export const USERS = `system:serviceaccount:${NAMESPACE}:`;
const PORTS = { operator: 8080, adapter: 8081 };

export function install(chart) {
  const image = ['--set', 'image.repository=cio-operator,image.tag=dev'];
  execFileSync('helm', ['upgrade', '--install', 'cio', chart, '-n', NAMESPACE, '--create-namespace', ...image, '--wait', '--timeout', '3m'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

async function pods(component) {
  const { items } = await ask('GET', `/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=app.kubernetes.io%2Fcomponent%3D${component}`);
  return items.filter(({ metadata }) => !metadata.deletionTimestamp);
}

const page = (address, port) =>
  new Promise((resolve, reject) => {
    const request = get({ host: address, port, path: '/metrics', timeout: 2000 }, async (answer) => {
      let text = '';
      for await (const part of answer) text += part;
      resolve(text);
    });
    request.once('timeout', () => request.destroy(new Error('no answer')));
    request.once('error', reject);
  });

/** The series of every operator, or adapter, that answers, summed, by their names with labels. */
async function series(component) {
  const sums = {};
  for (const { status } of await pods(component)) {
    const text = await page(status.podIP, PORTS[component]).catch(() => '');
    for (const [, name, value] of text.matchAll(/^(\w+(?:\{.*\})?) (\S+)$/gm)) sums[name] = (sums[name] ?? 0) + Number(value);
  }
  return sums;
}

/** Requests to the API server so far, by verb. */
export async function requests() {
  const verbs = {};
  for (const [name, value] of Object.entries(await series('operator'))) {
    const verb = /^cio_kubernetes_requests_total\{.*verb="(\w+)"/.exec(name)?.[1];
    if (verb && value > 0) verbs[verb] = (verbs[verb] ?? 0) + value;
  }
  return verbs;
}

/** Ends every operator; returns when they are gone. */
export async function end() {
  const before = await pods('operator');
  for (const { metadata } of before) await ask('DELETE', `/api/v1/namespaces/${NAMESPACE}/pods/${metadata.name}`);
  const names = new Set(before.map(({ metadata }) => metadata.name));
  for (;;) {
    const { items } = await ask('GET', `/api/v1/namespaces/${NAMESPACE}/pods`);
    if (!items.some(({ metadata }) => names.has(metadata.name))) return;
    await sleep(100);
  }
}

/** Reconciles that came to an end, of the operators of now. */
export async function reconciled() {
  const all = await series('operator');
  return all['cio_operator_reconciles_total{result="ok"}'] ?? 0;
}

/** How many of the adapters' answers took at most so many seconds, by the bound; `+Inf` for all. */
export async function answered() {
  const all = Object.entries(await series('adapter'));
  const bound = /^cio_adapter_request_duration_seconds_bucket\{.*le="([^"]+)"/;
  const found = all.flatMap(([name, count]) => (bound.test(name) ? [[bound.exec(name)[1], count]] : []));
  if (found.length === 0) throw new Error('no adapter says how long its answers took');
  return Object.fromEntries(found);
}
