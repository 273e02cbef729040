// What both Node workers have in common: the queue, failed jobs in the log, the end.
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';

export function work(deliver, concurrency) {
  const connection = new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null });
  const process_ = async (job) => {
    // What the processor returns is stored with the job: nothing, as cio worker has it.
    await deliver(job);
  };
  const worker = new Worker(process.env.CIO_QUEUE, process_, { connection, concurrency });
  worker.on('failed', (job, error) => console.error(`job ${job?.id} failed: ${error.message}`));
  worker.on('error', (error) => console.error(error.message));
  process.on('SIGTERM', () => process.exit(0));
}
