// An application that queues Customer.io calls: identify and track in turn, over a set of users.
//
//   node produce.mjs --count 5000 --users 500 --rate 200
//
// Prints one line of JSON when everything is in the queue. Settings, each also from the environment:
//   --count COUNT   jobs to add                        (1000)
//   --users USERS   users they are about               (100)
//   --rate  RATE    jobs a second; 0: as fast as can be  (0)
//   REDIS_URL (redis://localhost:6379), CIO_QUEUE (cio-events), CIO_QUEUE_PREFIX (bull)
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';

const CHUNK = 1000;
const TICKS_PER_SECOND = 10;

// The guide's job options, on every job.
const jobOptions = {
  attempts: 5,
  backoff: { type: 'exponential', delay: 2000 },
  removeOnComplete: { count: 10_000 },
  removeOnFail: { count: 50_000 },
};

function settings() {
  const options = { count: { type: 'string' }, users: { type: 'string' }, rate: { type: 'string' } };
  const { values } = parseArgs({ options });
  const { COUNT, USERS, RATE, REDIS_URL, CIO_QUEUE, CIO_QUEUE_PREFIX } = process.env;
  return {
    count: wholeNumber('--count (COUNT)', values.count ?? COUNT ?? '1000', 1),
    users: wholeNumber('--users (USERS)', values.users ?? USERS ?? '100', 1),
    rate: wholeNumber('--rate (RATE)', values.rate ?? RATE ?? '0', 0),
    redisUrl: REDIS_URL || 'redis://localhost:6379',
    queue: CIO_QUEUE || 'cio-events',
    prefix: CIO_QUEUE_PREFIX || 'bull',
  };
}

function wholeNumber(name, text, least) {
  const number = Number(text);
  if (text === '' || !Number.isSafeInteger(number) || number < least) {
    throw new TypeError(`${name}: ${JSON.stringify(text)} is no whole number from ${least} on`);
  }
  return number;
}

// Job 0 identifies the first user, job 1 tracks an event of theirs, job 2 identifies the second, …
function job(index, users) {
  const user = Math.floor(index / 2) % users;
  const userId = `user-${user}`;
  const enqueuedAt = Date.now();
  if (index % 2 === 0) {
    const data = { email: `${userId}@example.com`, plan: user % 2 === 0 ? 'free' : 'pro' };
    return { name: 'identify', data: { userId, data, enqueuedAt } };
  }
  const data = { name: 'order_placed', data: { order_id: index, total: (index % 100) + 0.99 } };
  return { name: 'track', data: { userId, data, enqueuedAt } };
}

// As fast as Redis takes them, or in ten steps a second, each as large as the time gone by asks.
async function produce(queue, { count, users, rate }) {
  const started = performance.now();
  for (let done = 0; done < count; ) {
    const due = rate === 0 ? count : Math.ceil(((performance.now() - started) / 1000) * rate);
    const size = Math.min(CHUNK, count - done, due - done);
    if (size > 0) {
      await queue.addBulk(Array.from({ length: size }, (_, i) => job(done + i, users)));
      done += size;
    } else {
      await sleep(1000 / TICKS_PER_SECOND);
    }
  }
  return (performance.now() - started) / 1000;
}

async function main() {
  const given = settings();
  const connection = new Redis(given.redisUrl, { lazyConnect: true, maxRetriesPerRequest: 5 });
  let cause;
  connection.on('error', (error) => (cause = error));
  // Without this a Redis that is not there would be waited for without end.
  await connection.connect().catch((error) => {
    connection.disconnect();
    throw new Error(`no Redis at REDIS_URL: ${(cause ?? error).message}`);
  });
  const queue = new Queue(given.queue, {
    connection,
    prefix: given.prefix,
    defaultJobOptions: jobOptions,
  });
  // A lost connection is retried, and the call that gives up says so.
  queue.on('error', () => {});
  try {
    const seconds = await produce(queue, given);
    const track = Math.floor(given.count / 2);
    const summary = {
      queue: given.queue,
      jobs: given.count,
      identify: given.count - track,
      track,
      users: Math.min(given.users, Math.ceil(given.count / 2)),
      seconds: Number(seconds.toFixed(3)),
      jobsPerSecond: Math.round(given.count / seconds),
    };
    console.log(JSON.stringify(summary));
  } finally {
    connection.disconnect();
  }
}

try {
  await main();
  process.exit(0);
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(error instanceof TypeError ? 2 : 1);
}
