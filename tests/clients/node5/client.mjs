// Every call that Customer.io's own client of today has, against the address given.
// Prints what it was told, and the calls it left out.
import { CustomerIORequestError, TrackClient } from 'customerio-node';
import { core, left_out, recorded } from '../shared/core.mjs';

const url = process.argv[2];
const called = new Set();
const client = recorded(new TrackClient('site', 'key', { url: `${url}/api/v1` }), called);

await core(client);

await client.trackPush({ delivery_id: 'd1', event: 'opened', device_id: 't/1', timestamp: 1700000000 });
await client.reportMetric({ delivery_id: 'd1', metric: 'clicked' });
await client.unsubscribe('d1');
await client.addCustomersToSegment(7, ['u', 'nobody']);
await client.addCustomersToSegment('8', ['U@x.io'], 'email');
await client.removeCustomersFromSegment(8, ['u'], 'id');
await client.submitForm('newsletter', { email: 'form@x.io', first_name: 'Fa' });

const person = (id, action, more) => ({ type: 'person', identifiers: { id }, action, ...more });
const object = { object_type_id: '1', object_id: 'acme' };
const relationships = { cio_relationships: [{ identifiers: object }] };
const batch = await client.batch([
  person('b', 'identify', { attributes: { plan: 'b' } }),
  person('b', 'screen', { name: 'home' }),
  person('b', 'add_device', { device: { token: 'b1', platform: 'android' } }),
  person('b', 'add_relationships', relationships),
  person('b', 'event', { name: ' ' }),
  { type: 'object', identifiers: object, action: 'identify', attributes: { name: 'Acme' } },
]);
await client.entity(person('b', 'delete_device', { device: { token: 'b1' } }));
const region = await client.getAccountRegion();

const stranger = new TrackClient('site', 'wrong', { url: `${url}/api/v1` });
const refused = await stranger.identify('x', {}).catch((error) => error);

console.log(JSON.stringify({
  left_out: left_out(TrackClient, called),
  batch,
  region: region.region,
  refused: refused instanceof CustomerIORequestError && refused.statusCode,
}));
