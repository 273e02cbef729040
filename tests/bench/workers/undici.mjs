// The fastest plain Node worker: BullMQ, and an undici pool that keeps its connections.
import { Pool } from 'undici';
import { work } from './work.mjs';

const concurrency = Number(process.env.CONCURRENCY);
const { CUSTOMERIO_SITE_ID, CUSTOMERIO_TRACK_API_KEY, CUSTOMERIO_TRACK_URL } = process.env;

const pool = new Pool(CUSTOMERIO_TRACK_URL, { connections: concurrency });
const token = Buffer.from(`${CUSTOMERIO_SITE_ID}:${CUSTOMERIO_TRACK_API_KEY}`).toString('base64');
const headers = { authorization: `Basic ${token}`, 'content-type': 'application/json' };

async function send(method, path, data) {
  const answer = await pool.request({ method, path, headers, body: JSON.stringify(data) });
  await answer.body.dump();
  if (answer.statusCode !== 200) throw new Error(`${path}: ${answer.statusCode}`);
}

async function deliver(job) {
  const { userId, data } = job.data;
  const person = `/api/v1/customers/${encodeURIComponent(userId)}`;
  switch (job.name) {
    case 'identify':
      return send('PUT', person, data);
    case 'track':
      return send('POST', `${person}/events`, data);
    default:
      throw new Error(`no such operation: ${job.name}`);
  }
}

work(deliver, concurrency);
