// BullMQ on the other side of the queue, told what to do line by line: reads {"call", "arguments"} and
// answers each with {"value"} or {"error"}.
//   node peer.mjs PACKAGE QUEUE   (REDIS_URL from the environment)
//
// Calls: queue.METHOD and flows.METHOD are BullMQ's own; job.METHOD takes the job's id first; the others are below.
// A worker does with a job what `behaviour` says: {failures} attempts fail, each run takes {ms}.
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const [packageName, queueName] = process.argv.slice(2);
const { FlowProducer, Job, Queue, QueueEvents, Worker } = await import(packageName);
const { hostname, port } = new URL(process.env.REDIS_URL);
const connection = { host: hostname, port: Number(port) };

let queue = new Queue(queueName, { connection });
let flows;
let queueEvents;
const events = [];
const runs = [];
const workers = [];

class Recording extends QueueEvents {
  emit(event, ...rest) {
    if (typeof rest[0] === 'object') events.push({ event, ...(event === 'error' ? { message: `${rest[0]}` } : rest[0]) });
    return event === 'error' || super.emit(event, ...rest);
  }
}

const view = async (job, state) =>
  job && {
    id: job.id,
    name: job.name,
    data: job.data,
    opts: job.opts,
    timestamp: job.timestamp,
    delay: job.delay,
    priority: job.priority,
    attemptsMade: job.attemptsMade,
    attemptsStarted: job.attemptsStarted,
    stalledCounter: job.stalledCounter,
    processedOn: job.processedOn ?? null,
    finishedOn: job.finishedOn ?? null,
    returnvalue: job.returnvalue,
    failedReason: job.failedReason ?? null,
    stacktrace: job.stacktrace,
    state: state ?? (await job.getState()),
  };

const show = async (value) => {
  if (value instanceof Job) return view(value);
  if (Array.isArray(value)) return Promise.all(value.map(show));
  return value ?? null;
};

const process_ = (behaviour, of) => async (job) => {
  runs.push({
    queue: of,
    id: job.id,
    name: job.name,
    attemptsMade: job.attemptsMade,
    stalledCounter: job.stalledCounter,
    children: await job.getChildrenValues(),
    at: Date.now(),
  });
  await sleep(behaviour.ms ?? 0);
  if (job.attemptsMade < (behaviour.failures ?? 0)) throw new Error('as told');
  return { by: packageName };
};

const own = {
  open: async (options) => {
    await queue.waitUntilReady();
    await queue.close();
    queue = new Queue(queueName, { connection, ...options });
    await queue.waitUntilReady();
  },
  // The state is read first: what the job holds is then no older.
  job: async (id) => {
    const state = await queue.getJobState(id);
    return view(await Job.fromId(queue, id), state);
  },
  events: () => events,
  'events.start': async () => {
    queueEvents = new Recording(queueName, { connection, lastEventId: '0' });
    await queueEvents.waitUntilReady();
  },
  finished: async (id, ttl) => (await Job.fromId(queue, id)).waitUntilFinished(queueEvents, ttl),
  runs: () => runs,
  'worker.start': async (options = {}, behaviour = {}, name = queueName) => {
    const worker = new Worker(name, process_(behaviour, name), { connection, ...options });
    worker.on('error', () => {});
    workers.push(worker);
    await worker.waitUntilReady();
    // Only looks for jobs whose worker has gone.
    if (options.autorun === false) worker.startStalledCheckTimer().catch(() => {});
  },
  'worker.close': () => Promise.all(workers.splice(0).map((worker) => worker.close())),
};

const call = async (name, given) => {
  if (own[name]) return own[name](...given);
  const [on, method] = name.split('.');
  if (on === 'queue') return queue[method](...given);
  if (on === 'flows') {
    flows ??= new FlowProducer({ connection });
    const { job } = await flows[method](...given);
    return job;
  }
  const [id, ...rest] = given;
  const job = await Job.fromId(queue, id);
  return job[method](...rest);
};

for await (const line of createInterface({ input: process.stdin })) {
  const { call: name, arguments: given } = JSON.parse(line);
  let answer;
  try {
    answer = { value: await show(await call(name, given)) };
  } catch (error) {
    answer = { error: `${error.stack}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
