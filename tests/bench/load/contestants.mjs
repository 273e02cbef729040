// Who sends the load, with which settings: `rate` is in requests a second.
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('script.js', import.meta.url));
/** A 0.1 s pause and two answers of 20 ms: so many users for each iteration a second, and room for a stall. */
const USERS_PER_RATE = 0.5;
const BODY = '{"email":"k6-load-1-0@loadtest.example.com","_load_test":true,"created_at":1700000000}';

export function contestants({ binary, k6, oha }, url, rate, seconds) {
  const iterations = rate / 2;
  const users = String(Math.ceil(iterations * USERS_PER_RATE));
  const k6Run = (env) => ({
    program: k6,
    args: ['run', '--quiet', script],
    env: { K6_NO_USAGE_REPORT: 'true', URL: url, RATE: String(iterations), DURATION: `${seconds}s`, USERS: users, ...env },
  });
  return [
    {
      id: 'cio',
      title: "`cio loadtest`, the guide's iteration",
      program: binary,
      // The clean-up is not what is measured: its first delete ends the run.
      args: [
        ...['loadtest', '--no-preflight', '--rate', String(iterations), '--duration', `${seconds}s`, '--cleanup-rate', '0.1'],
        ...['--pre-allocated-users', users, '--max-users', users],
      ],
      env: { CUSTOMERIO_SITE_ID: 'site', CUSTOMERIO_TRACK_API_KEY: 'key', CUSTOMERIO_TRACK_URL: url },
      endsWithDelete: true,
    },
    { id: 'k6', title: "k6, the guide's iteration", ...k6Run({}) },
    { id: 'k6-bare', title: 'k6, two bare requests', ...k6Run({ BARE: '1' }) },
    {
      id: 'oha',
      title: 'oha, one request over and over',
      program: oha,
      args: [
        ...['-q', String(rate), '-z', `${seconds}s`, '-c', users, '-w', '--no-tui', '--latency-correction'],
        ...['-m', 'PUT', '-T', 'application/json', '-a', 'site:key', '-d', BODY, `${url}/api/v1/customers/k6-load-1-0`],
      ],
      env: {},
    },
  ];
}
