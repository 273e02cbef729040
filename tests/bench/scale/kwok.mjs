// Nodes that are not there, by KWOK, and the addresses of their pods, which all lead to this machine.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { folder, start } from '../lib/processes.mjs';
import { ask } from './api.mjs';

const STAGES = [
  'stage/node/fast/node-initialize.yaml',
  'stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml',
  'stage/pod/fast/pod-ready.yaml',
  'stage/pod/fast/pod-delete.yaml',
  'metrics/resource/metrics-resource.yaml',
  'metrics/usage/usage-from-annotation.yaml',
];
const PORT = 10247;
// A node has 254 addresses for pods.
const PODS_EACH = 200;

const node = (number) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name: `fake-${number}`,
    labels: { type: 'kwok', 'kubernetes.io/hostname': `fake-${number}` },
    annotations: {
      'kwok.x-k8s.io/node': 'fake',
      'metrics.k8s.io/resource-metrics-path': `/metrics/nodes/fake-${number}/metrics/resource`,
    },
  },
  spec: { taints: [{ key: 'kwok.x-k8s.io/node', value: 'fake', effect: 'NoSchedule' }] },
});

/** Starts KWOK, makes nodes for so many pods, and leads their pods' addresses here. */
export async function fakeNodes(program, settings, pods) {
  const config = join(folder, 'kwok.yaml');
  writeFileSync(config, STAGES.map((name) => readFileSync(join(settings, name), 'utf8')).join('\n---\n'));
  const pki = dirname(process.env.KUBECONFIG);
  const tls = [`--tls-cert-file=${join(pki, 'kubelet.crt')}`, `--tls-private-key-file=${join(pki, 'kubelet.key')}`];
  const kwok = start(
    'kwok',
    program,
    [
      `--config=${config}`,
      `--kubeconfig=${process.env.KUBECONFIG}`,
      '--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake',
      '--node-lease-duration-seconds=40',
      '--node-ip=172.30.0.1',
      `--node-port=${PORT}`,
      `--server-address=0.0.0.0:${PORT}`,
      ...tls,
    ],
  );
  const numbers = Array.from({ length: Math.ceil(pods / PODS_EACH) }, (_, number) => number);
  for (const number of numbers) await ask('POST', '/api/v1/nodes', node(number));
  for (const number of numbers) execFileSync('ip', ['route', 'add', 'local', await addresses(number), 'dev', 'lo']);
  return kwok;
}

async function addresses(number) {
  for (let tries = 0; tries < 100; tries += 1) {
    const { spec, status } = await ask('GET', `/api/v1/nodes/fake-${number}`);
    const ready = status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True');
    if (spec.podCIDR && ready) return spec.podCIDR;
    await sleep(200);
  }
  throw new Error(`node fake-${number} did not become ready within 20 s`);
}
