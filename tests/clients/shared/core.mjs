// The calls that both majors of the Node client have.

const ODD = 'a b/ü+@x.io';

export async function core(client) {
  await client.identify('u', { email: 'U@x.io', plan: 'a' });
  await client.identify('other', { city: 'x' });
  await client.identify(ODD, { odd: true });
  await client.destroy(ODD);

  const event = { name: 'bought', id: '01ARZ3NDEKTSV4RRFFQ69G5FAV', timestamp: 1700000000, data: { price: 5 } };
  await client.track('u', event);
  await client.track('u', event);
  await client.trackAnonymous('anon', { name: 'seen' });
  await client.trackPageView('u', '/pricing');

  await client.addDevice('u', 't/1', 'ios', { last_used: 1700000000, os: 'x' });
  await client.addDevice('u', 'gone', 'android');
  await client.deleteDevice('u', 'gone');
  await client.mergeCustomers('email', 'u@x.io', 'id', 'other');

  await client.suppress('bad');
  await client.identify('bad', { plan: 'x' });
  await client.suppress('back');
  await client.unsuppress('back');
  await client.identify('back', { plan: 'y' });
}

// A client that notes which of its methods are called.
export function recorded(client, called) {
  return new Proxy(client, {
    get(target, name) {
      called.add(name);
      const value = target[name];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

export function left_out(type, called) {
  const methods = Object.getOwnPropertyNames(type.prototype).filter((name) => name !== 'constructor');
  return methods.filter((name) => !called.has(name));
}
