// Every call that the last client for older Node has; it speaks https only, to a port that it takes
// as an option of the request. Prints the calls it left out.
import { TrackClient } from 'customerio-node';
import { core, left_out, recorded } from '../shared/core.mjs';

const url = process.argv[2];
const called = new Set();
const options = { url: `${url}/api/v1`, port: new URL(url).port };
const client = recorded(new TrackClient('site', 'key', options), called);

await core(client);
await client.trackPush({ delivery_id: 'd1', event: 'opened', device_id: 't/1', timestamp: 1700000000 });

console.log(JSON.stringify({ left_out: left_out(TrackClient, called) }));
