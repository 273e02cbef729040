// What whoever runs a bench says, and on what machine.
import { accessSync, constants } from 'node:fs';
import { cpus, totalmem } from 'node:os';

export function wholeNumber(name, text, least) {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < least) {
    throw new TypeError(`${name}: ${JSON.stringify(text)} is no whole number from ${least} on`);
  }
  return number;
}

export function built(binary) {
  try {
    accessSync(binary, constants.X_OK);
  } catch {
    throw new TypeError('there is no cio: build it with `cargo build --release`, or name one in CIO_BENCH_BINARY');
  }
}

export function machine() {
  const gib = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${cpus()[0].model.trim()}, ${gib} GiB, Node ${process.versions.node}`;
}
