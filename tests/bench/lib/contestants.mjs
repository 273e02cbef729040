// Who is measured, with which settings.
import { fileURLToPath } from 'node:url';
import { QUEUE } from './backlog.mjs';

const worker = (name) => fileURLToPath(new URL(`../workers/${name}.mjs`, import.meta.url));

const common = {
  CIO_QUEUE: QUEUE,
  CUSTOMERIO_SITE_ID: 'site',
  CUSTOMERIO_TRACK_API_KEY: 'key',
};
const node = (name, env) => ({ program: process.execPath, args: [worker(name)], env: { ...common, ...env } });

/** `concurrency` requests at once for each, none has a limit. */
export function unlimited(cio, concurrency) {
  const CONCURRENCY = String(concurrency);
  return [
    {
      id: 'cio-single',
      title: '`cio worker`, single mode',
      program: cio,
      args: ['worker', '--delivery-mode', 'single', '--requests-per-second', '0'],
      env: { ...common, CIO_CONCURRENCY: CONCURRENCY, CIO_MAX_CONCURRENT: CONCURRENCY },
    },
    { id: 'node-undici', title: 'BullMQ for Node and undici', ...node('undici', { CONCURRENCY }) },
    {
      id: 'guide-unlimited',
      title: "the guide's worker, its limit off",
      ...node('guide', { CONCURRENCY, MAX_CONCURRENT: CONCURRENCY, LIMIT: '0' }),
    },
  ];
}

/** One workspace at `limit` requests a second; everything else as each has it when nothing is said. */
export function limited(cio, limit) {
  const env = { CONCURRENCY: '10', MAX_CONCURRENT: '15', LIMIT: String(limit) };
  return [
    {
      id: 'cio-batch',
      title: '`cio worker`, batch mode',
      program: cio,
      args: ['worker', '--delivery-mode', 'batch', '--requests-per-second', String(limit)],
      env: common,
    },
    { id: 'guide', title: "the guide's worker", ...node('guide', env) },
  ];
}
