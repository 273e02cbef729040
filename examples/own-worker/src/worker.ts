// The guide's worker: jobs from BullMQ, delivered with Customer.io's own client.
//
// The guide keeps its 80 requests a second with a Bottleneck in every process, so that N pods send N times as many. The
// queue's own limiter, in Redis, holds for all pods together.
import { Worker, type Job } from 'bullmq';
import { RegionEU, RegionUS, TrackClient } from 'customerio-node';
import { Redis } from 'ioredis';
import { settings, SettingsError, type Settings } from './settings';

interface Operation {
  userId: string;
  data: Record<string, unknown>;
}

function trackClient({ siteId, apiKey, region, url }: Settings['customerio']): TrackClient {
  return new TrackClient(siteId, apiKey, {
    region: region === 'eu' ? RegionEU : RegionUS,
    ...(url ? { url: `${url}/api/v1` } : {}),
    // BullMQ tries again, later and for the whole queue; a client that also did would hide a 429.
    retry: { maxRetries: 0 },
  });
}

async function deliver(client: TrackClient, job: Job<Operation>): Promise<void> {
  const { userId, data } = job.data;
  switch (job.name) {
    case 'identify':
      await client.identify(userId, data);
      return;
    case 'track':
      await client.track(userId, data);
      return;
    default:
      throw new Error(`no such operation: ${job.name}`);
  }
}

// One line of JSON, without an address, a key or a payload: a log is no place for personal data.
function log(level: 'info' | 'warn' | 'error', message: string, fields: Record<string, unknown> = {}): void {
  console.error(JSON.stringify({ timestamp: new Date().toISOString(), level, message, ...fields }));
}

function start(given: Settings): Worker<Operation> {
  const client = trackClient(given.customerio);
  const connection = new Redis(given.redisUrl, {
    maxRetriesPerRequest: null,
    ...(given.redisCa ? { tls: { ca: given.redisCa } } : {}),
  });
  const worker = new Worker<Operation>(given.queue, (job) => deliver(client, job), {
    connection,
    prefix: given.prefix,
    concurrency: given.concurrency,
    ...(given.requestsPerSecond > 0 ? { limiter: { max: given.requestsPerSecond, duration: 1000 } } : {}),
    removeOnComplete: { count: given.keep.completed },
    removeOnFail: { count: given.keep.failed },
  });
  worker.on('failed', (job, error) => {
    const status = 'statusCode' in error ? error.statusCode : undefined;
    log('warn', 'job failed', { 'job.name': job?.name, attempt: job?.attemptsMade, status });
  });
  worker.on('error', (error) => log('error', 'Redis or BullMQ failed', { code: (error as NodeJS.ErrnoException).code }));
  log('info', 'worker started', { 'queue.name': given.queue, concurrency: given.concurrency });
  return worker;
}

// No more jobs; those in hand are finished. A second signal, or the end of the grace, ends at once: another worker then takes
// what was in hand after BullMQ's lock of 30 seconds has run out.
function endOnSignals(worker: Worker, graceSeconds: number): void {
  let ending = false;
  const end = async (): Promise<void> => {
    if (ending) process.exit(1);
    ending = true;
    setTimeout(() => process.exit(1), graceSeconds * 1000).unref();
    await worker.close();
    log('info', 'worker ended');
    process.exit(0);
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}

try {
  const given = settings(process.env);
  endOnSignals(start(given), given.graceSeconds);
} catch (error) {
  if (!(error instanceof SettingsError)) throw error;
  log('error', error.message);
  process.exit(2);
}
