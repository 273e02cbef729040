// Plays every sidecar and every worker: the same few series, whatever address is asked. SIGUSR2 sets the depths in motion,
// or lets them rest again.
import { createServer } from 'node:http';

// Of 1,000 jobs two pods have 500 each, which is what one should have: nobody scales.
const REST = 800;
const LEAST = 10;
const PERIOD_S = 120;
let moving = false;

// Each address at another place of its way up and down, so that at any time some double and some halve.
function depth(address, now) {
  if (!moving) return REST;
  const place = [...address].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 1009, 7) / 1009;
  const height = Math.abs(1 - 2 * ((now / 1000 / PERIOD_S + place) % 1));
  return Math.round(LEAST * (REST / LEAST) ** height);
}

// It does not say which pipeline it counts for: it is everybody's.
function sidecar(address) {
  const now = Date.now();
  return [
    `cio_queue_depth{queue="cio-events"} ${depth(address, now)}`,
    `cio_queue_read_timestamp_seconds ${now / 1000}`,
    'cio_limit_requests_per_second{pipeline="p"} 80',
    'cio_limit_used_ratio{pipeline="p"} 0.4',
    'cio_limit_circuit_open{pipeline="p"} 0',
    '',
  ].join('\n');
}

function worker() {
  const classes = ['redirected', 'unauthorized', 'unavailable'].map((name) => `cio_delivery_circuit_open{class="${name}"} 0`);
  const times = ['cio_delivery_circuit_opened_timestamp_seconds 0', `cio_delivery_answered_timestamp_seconds ${Date.now() / 1000}`];
  return [...classes, ...times, ''].join('\n');
}

const serve = (port, page) =>
  createServer((request, response) => {
    response.setHeader('content-type', 'text/plain');
    response.end(page(request.socket.localAddress));
  }).listen(port, '0.0.0.0', 4096);

serve(9100, sidecar);
serve(9101, worker);
process.on('SIGUSR2', () => {
  moving = !moving;
});
