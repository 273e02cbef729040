// The guide's load test as a k6 script, at a constant rate. `BARE` leaves out all but the two requests.
import encoding from 'k6/encoding';
import exec from 'k6/execution';
import http from 'k6/http';
import { check, sleep } from 'k6';
import { Counter, Trend } from 'k6/metrics';

const { BARE, DURATION, RATE, URL, USERS } = __ENV;
const identifyLatency = new Trend('cio_identify_latency', true);
const trackLatency = new Trend('cio_track_latency', true);
const errors = new Counter('cio_errors');

export const options = {
  scenarios: {
    constant: {
      executor: 'constant-arrival-rate',
      rate: Number(RATE),
      timeUnit: '1s',
      duration: DURATION,
      preAllocatedVUs: Number(USERS),
      maxVUs: Number(USERS),
    },
  },
  thresholds: {
    cio_identify_latency: ['p(95)<500', 'p(99)<2000'],
    cio_track_latency: ['p(95)<500', 'p(99)<2000'],
    cio_errors: ['count<50'],
  },
};

const headers = {
  'Content-Type': 'application/json',
  Authorization: `Basic ${encoding.b64encode('site:key')}`,
};

function identify(user) {
  const body = { email: `${user}@loadtest.example.com`, _load_test: true, created_at: Math.floor(Date.now() / 1000) };
  return http.put(`${URL}/api/v1/customers/${user}`, JSON.stringify(body), { headers });
}

function track(user) {
  const body = { name: 'load_test_event', data: { iteration: __ITER, vu: __VU } };
  return http.post(`${URL}/api/v1/customers/${user}/events`, JSON.stringify(body), { headers });
}

function ok(response, name, latency) {
  latency.add(response.timings.duration);
  if (!check(response, { [name]: (it) => it.status === 200 })) errors.add(1);
}

export default function () {
  const user = `k6-load-${exec.vu.idInTest}-${__ITER}`;
  if (BARE) {
    identify(user);
    track(user);
    return;
  }
  ok(identify(user), 'identify 200', identifyLatency);
  ok(track(user), 'track 200', trackLatency);
  sleep(0.1);
}
