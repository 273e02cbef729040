// The guide's worker: BullMQ, Customer.io's own client, Bottleneck. LIMIT=0 leaves the reservoir out.
import Bottleneck from 'bottleneck';
import { TrackClient } from 'customerio-node';
import { work } from './work.mjs';

const { CUSTOMERIO_SITE_ID, CUSTOMERIO_TRACK_API_KEY, CUSTOMERIO_TRACK_URL } = process.env;
const limit = Number(process.env.LIMIT);

const client = new TrackClient(CUSTOMERIO_SITE_ID, CUSTOMERIO_TRACK_API_KEY, {
  url: `${CUSTOMERIO_TRACK_URL}/api/v1`,
});
const reservoir = { reservoir: limit, reservoirRefreshAmount: limit, reservoirRefreshInterval: 1000 };
const limiter = new Bottleneck({
  maxConcurrent: Number(process.env.MAX_CONCURRENT),
  ...(limit > 0 ? reservoir : {}),
});

async function deliver(job) {
  const { userId, data } = job.data;
  switch (job.name) {
    case 'identify':
      return limiter.schedule(() => client.identify(userId, data));
    case 'track':
      return limiter.schedule(() => client.track(userId, data));
    default:
      throw new Error(`no such operation: ${job.name}`);
  }
}

work(deliver, Number(process.env.CONCURRENCY));
