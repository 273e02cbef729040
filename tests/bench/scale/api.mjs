// The cluster's API, over connections that are kept: what the bench itself asks, as the cluster's administrator.
import { readFileSync } from 'node:fs';
import { Agent, request as send } from 'node:https';
import { dirname, join } from 'node:path';

const SERVER = 'https://172.30.0.1:6443';
const AT_ONCE = 8;

function tls() {
  const pki = dirname(process.env.KUBECONFIG);
  const file = (name) => readFileSync(join(pki, name));
  return { ca: file('ca.crt'), cert: file('admin.crt'), key: file('admin.key') };
}

/** Connections to the API server, at most so many. */
export const connections = (most) => new Agent({ ...tls(), keepAlive: true, maxSockets: most });

const shared = connections(AT_ONCE);

function open(method, path, body, agent, type) {
  return new Promise((resolve, reject) => {
    const headers = { accept: 'application/json', ...(body && { 'content-type': type }) };
    const request = send(`${SERVER}${path}`, { method, headers, agent }, resolve);
    request.once('error', reject);
    request.end(body && JSON.stringify(body));
  });
}

async function text(answer) {
  const parts = [];
  for await (const part of answer) parts.push(part);
  return Buffer.concat(parts).toString();
}

/** One request; what is answered, as an object. Throws where it is refused, unless with a code that is `fine`. */
export async function ask(method, path, body, { agent = shared, type = 'application/json', fine = [] } = {}) {
  const answer = await open(method, path, body, agent, type);
  const told = await text(answer);
  if (answer.statusCode >= 300 && !fine.includes(answer.statusCode)) {
    throw new Error(`${method} ${path}: ${answer.statusCode} ${told.slice(0, 300)}`);
  }
  return JSON.parse(told);
}

export const merge = (path, body) => ask('PATCH', path, body, { type: 'application/merge-patch+json' });

/** Does something with each item, several at once. */
export async function each(items, most, work) {
  const left = items.values();
  const worker = async () => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: most }, worker));
}

/** Tells of each object of a resource, those that are there first, until the answer is destroyed. */
export async function watch(path, told) {
  const list = await ask('GET', `${path}?limit=1`);
  const agent = connections(1);
  const query = `watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=${list.metadata.resourceVersion}`;
  const answer = await open('GET', `${path}?${query}`, undefined, agent);
  let rest = '';
  answer.on('data', (part) => {
    const lines = (rest + part).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      const { type, object } = JSON.parse(line);
      if (type === 'ADDED' || type === 'MODIFIED') told(object);
    }
  });
  return { end: () => answer.destroy() };
}
