// The Redis and the Customer.io that every contestant has in common.
import { Redis } from 'ioredis';
import { freePort, ready, start } from './processes.mjs';

/** A redis-server without persistence. */
export async function startRedis() {
  const port = await freePort();
  const options = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = start('redis-server', 'redis-server', [...options, '--maxmemory-policy', 'noeviction'].map(String));
  const client = new Redis(port, '127.0.0.1', { lazyConnect: true, retryStrategy: null });
  client.on('error', () => {}); // The call that fails says it.
  await ready(server, async () => {
    if (client.status !== 'ready') await client.connect();
    await client.ping();
  });
  return { ...server, client, url: `redis://127.0.0.1:${port}` };
}

/** A simulator without limit, and without latency unless an option says so: `cio` is the program. */
export async function startSimulator(cio, options = []) {
  const address = `127.0.0.1:${await freePort()}`;
  const server = start('simulator', cio, ['simulator', '--listen', address, ...options]);
  const url = `http://${address}`;
  const get = async (path) => {
    const answer = await fetch(`${url}${path}`);
    if (!answer.ok) throw new Error(`simulator: ${path}: ${answer.status}`);
    return answer.json();
  };
  await ready(server, () => get('/_sim/state'));
  return {
    ...server,
    url,
    state: () => get('/_sim/state'),
    arrivals: async () => (await get('/_sim/arrivals')).arrivals_us,
    forget: () => fetch(`${url}/_sim/state`, { method: 'DELETE' }),
  };
}
