// The backlog: the guide's jobs with the guide's options, as examples/producer makes them.
import { Queue } from 'bullmq';

export const QUEUE = 'cio-events';
const CHUNK = 1000;

const jobOptions = {
  attempts: 5,
  backoff: { type: 'exponential', delay: 2000 },
  removeOnComplete: { count: 10_000 },
  removeOnFail: { count: 50_000 },
};

/** A user's identify, then their track: every user is another one, so that each delivery can be told. */
function job(index) {
  const user = Math.floor(index / 2);
  const userId = `user-${user}`;
  const enqueuedAt = Date.now();
  if (index % 2 === 0) {
    const data = { email: `${userId}@example.com`, plan: user % 2 === 0 ? 'free' : 'pro' };
    return { name: 'identify', data: { userId, data, enqueuedAt } };
  }
  const data = { name: 'order_placed', data: { order_id: index, total: (index % 100) + 0.99 } };
  return { name: 'track', data: { userId, data, enqueuedAt } };
}

/** Empties Redis and adds `count` jobs. */
export async function fill(redis, count) {
  await redis.client.flushall('SYNC');
  const { hostname, port } = new URL(redis.url);
  const connection = { host: hostname, port: Number(port) };
  const queue = new Queue(QUEUE, { connection, defaultJobOptions: jobOptions });
  for (let done = 0; done < count; done += CHUNK) {
    const size = Math.min(CHUNK, count - done);
    await queue.addBulk(Array.from({ length: size }, (_, i) => job(done + i)));
  }
  await queue.close();
}

/** How many jobs are not at an end, and how many failed, at one moment. */
export async function counts(redis) {
  const key = (name) => `bull:${QUEUE}:${name}`;
  const answers = await redis.client
    .multi()
    .llen(key('wait'))
    .llen(key('active'))
    .llen(key('paused'))
    .zcard(key('delayed'))
    .zcard(key('prioritized'))
    .zcard(key('failed'))
    .exec();
  const numbers = answers.map(([error, number]) => {
    if (error) throw error;
    return number;
  });
  const failed = numbers.pop();
  return { left: numbers.reduce((sum, number) => sum + number, 0), failed };
}

/** When the job that ended last did, in unix milliseconds. */
export async function lastFinished(redis) {
  const [, score] = await redis.client.zrevrange(`bull:${QUEUE}:completed`, 0, 0, 'WITHSCORES');
  return Number(score);
}

/** Why the first of the failed jobs failed. */
export async function failedReason(redis) {
  const [id] = await redis.client.zrange(`bull:${QUEUE}:failed`, 0, 0);
  return redis.client.hget(`bull:${QUEUE}:${id}`, 'failedReason');
}
