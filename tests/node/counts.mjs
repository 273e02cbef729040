// Puts jobs into every state with the real BullMQ and prints what BullMQ itself counts.
//   node counts.mjs MAJOR QUEUE running|paused   (REDIS_URL from the environment)
import { randomUUID } from 'node:crypto';

const [major, queueName, mode] = process.argv.slice(2);
const { Queue, Worker, FlowProducer } = await import(`bullmq${major}`);

const { hostname, port } = new URL(process.env.REDIS_URL);
const connection = { host: hostname, port: Number(port) };
const token = randomUUID();

const queue = new Queue(queueName, { connection });
const worker = new Worker(queueName, null, {
  connection,
  autorun: false,
  metrics: { maxDataPoints: 60 },
});
const flows = new FlowProducer({ connection });

const add = (count, options) =>
  queue.addBulk(Array.from({ length: count }, () => ({ name: 'identify', data: {}, opts: options })));

// 3 completed, 2 failed, 2 active: taken by hand, so that every state holds still.
await add(7);
for (const outcome of ['ok', 'ok', 'ok', 'bad', 'bad', 'keep', 'keep']) {
  const job = await worker.getNextJob(token);
  if (outcome === 'ok') await job.moveToCompleted('done', token, false);
  if (outcome === 'bad') await job.moveToFailed(new Error('bad'), token, false);
}

await flows.add({
  name: 'parent',
  queueName,
  children: [{ name: 'child', queueName: `${queueName}-children` }],
});
const oldest = Date.now() - 60_000;
await add(1, { timestamp: oldest });
await add(4);
await add(2, { priority: 3 });
await add(2, { delay: 3_600_000 });
await add(3, { delay: 1 });
if (mode === 'paused') {
  await queue.pause();
  await add(1);
}

console.log(
  JSON.stringify({
    counts: await queue.getJobCounts(),
    isPaused: await queue.isPaused(),
    waitingCount: await queue.getWaitingCount(),
    exported: await queue.exportPrometheusMetrics(),
    delayedDue: 3,
    oldest,
  }),
);

await Promise.all([worker.close(), flows.close(), queue.close()]);
