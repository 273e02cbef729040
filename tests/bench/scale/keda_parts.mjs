// KEDA's operator and adapter as processes under a service account, with their default settings, and a Redis.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { folder, start } from '../lib/processes.mjs';
import { ask } from './api.mjs';

export const NAMESPACE = 'keda';
export const USERS = `system:serviceaccount:${NAMESPACE}:`;
export const REDIS_PORT = 6390;
const NODE = '172.30.0.1';
const ADAPTER_PORT = 6444;
const ENTRIES = 8;

const run = (program, args, input) => execFileSync(program, args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'inherit'] });

/** A Redis with a list of eight entries under each name. */
export async function startRedis(names) {
  const args = ['--port', String(REDIS_PORT), '--bind', '0.0.0.0', '--protected-mode', 'no', '--save', '', '--appendonly', 'no', '--maxclients', '20000'];
  start('redis', '/usr/bin/redis-server', args);
  const entries = Array.from({ length: ENTRIES }, (_, number) => number).join(' ');
  const commands = names.map((name) => `RPUSH ${name} ${entries}\n`).join('');
  for (let tries = 0; ; tries += 1) {
    await sleep(200);
    try {
      return run('redis-cli', ['-h', NODE, '-p', String(REDIS_PORT)], commands);
    } catch (error) {
      if (tries > 20) throw error;
    }
  }
}

// A process finds the adapter's Service where a pod would: at an address that no selector gives.
const objects = () => `
apiVersion: v1
kind: Namespace
metadata: {name: ${NAMESPACE}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: keda-operator, namespace: ${NAMESPACE}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: keda-operator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: keda-operator, namespace: ${NAMESPACE}}]
---
apiVersion: v1
kind: Service
metadata: {name: keda-metrics-apiserver, namespace: ${NAMESPACE}}
spec: {ports: [{name: https, port: 443, targetPort: ${ADAPTER_PORT}}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: keda-metrics-apiserver, namespace: ${NAMESPACE}, labels: {kubernetes.io/service-name: keda-metrics-apiserver}}
addressType: IPv4
ports: [{name: https, port: ${ADAPTER_PORT}}]
endpoints: [{addresses: [${NODE}], conditions: {ready: true}}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.external.metrics.k8s.io}
spec:
  group: external.metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: keda-metrics-apiserver, namespace: ${NAMESPACE}}
`;

/** Certificates as its own rotation would make them, for operator and adapter to know each other. */
function certificates() {
  const certs = join(folder, 'certs');
  mkdirSync(certs);
  const file = (name) => join(certs, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  run('openssl', ['req', '-x509', '-days', '30', ...key, '-keyout', file('ca.key'), '-out', file('ca.crt'), '-subj', '/CN=keda', '-addext', 'basicConstraints=critical,CA:TRUE']);
  run('openssl', ['req', ...key, '-keyout', file('tls.key'), '-out', file('tls.csr'), '-subj', '/CN=keda-operator']);
  writeFileSync(file('names'), `extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:localhost,DNS:keda-operator,DNS:keda-operator.${NAMESPACE}.svc,IP:127.0.0.1\n`);
  const sign = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '30', '-extfile', file('names')];
  run('openssl', ['x509', '-req', '-in', file('tls.csr'), ...sign, '-out', file('tls.crt')]);
  return certs;
}

function kubeconfig() {
  const token = run('kubectl', ['create', 'token', 'keda-operator', '-n', NAMESPACE, '--duration=24h']).trim();
  const path = join(folder, 'keda.kubeconfig');
  const ca = join(dirname(process.env.KUBECONFIG), 'ca.crt');
  const cluster = `{name: c, cluster: {server: "https://${NODE}:6443", certificate-authority: ${ca}}}`;
  const user = `{name: u, user: {token: ${token}}}`;
  const context = '{name: x, context: {cluster: c, user: u}}';
  writeFileSync(path, `apiVersion: v1\nkind: Config\nclusters: [${cluster}]\nusers: [${user}]\ncontexts: [${context}]\ncurrent-context: x\n`);
  return path;
}

/** Starts both; returns when its API answers. */
export async function startKeda(programs, crds) {
  run('kubectl', ['apply', '--server-side', '-f', crds]);
  run('kubectl', ['apply', '-f', '-'], objects());
  const [certs, config] = [certificates(), kubeconfig()];
  const places = { POD_NAMESPACE: NAMESPACE, KEDA_CLUSTER_OBJECT_NAMESPACE: NAMESPACE };
  const environment = { WATCH_NAMESPACE: '', ...places, KUBECONFIG: config, KEDA_HTTP_DEFAULT_TIMEOUT: '' };
  const own = ['--zap-log-level=error', `--cert-dir=${certs}`];
  const addresses = ['--metrics-bind-address=:18080', '--health-probe-bind-address=:18081', '--metrics-service-bind-address=:9666'];
  const operator = start('keda-operator', join(programs, 'keda-operator'), [...own, ...addresses, '--leader-elect'], environment);
  const adapter = start(
    'keda-adapter',
    join(programs, 'keda-adapter'),
    [
      ...own,
      `--secure-port=${ADAPTER_PORT}`,
      '--port=18082',
      '--metrics-service-address=localhost:9666',
      `--client-ca-file=${join(dirname(process.env.KUBECONFIG), 'ca.crt')}`,
      `--tls-cert-file=${join(certs, 'tls.crt')}`,
      `--tls-private-key-file=${join(certs, 'tls.key')}`,
      `--authentication-kubeconfig=${config}`,
      `--authorization-kubeconfig=${config}`,
      `--lister-kubeconfig=${config}`,
    ],
    environment,
  );
  await serving();
  return [operator, adapter];
}

async function serving() {
  for (let tries = 0; tries < 150; tries += 1) {
    const { status } = await ask('GET', '/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.external.metrics.k8s.io');
    if (status?.conditions?.some(({ type, status: is }) => type === 'Available' && is === 'True')) return;
    await sleep(200);
  }
  throw new Error("KEDA's adapter does not serve after 30 s");
}
