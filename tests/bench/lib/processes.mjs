// Every process of the bench, started and ended by its id. None outlives it, however it ends.
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const LOG_LINES = 15;
const END_MS = 10_000;

export const folder = mkdtempSync(join(tmpdir(), 'cio-bench-'));
const running = new Set();
let started = 0;

/** Starts a program; what it prints goes to a file of which `log()` gives the end. */
export function start(name, program, args, env = {}) {
  const path = join(folder, `${(started += 1)}-${name}.log`);
  const file = openSync(path, 'w');
  // The settings of whoever runs the bench do not reach what is measured.
  const environment = { PATH: process.env.PATH, HOME: folder, NODE_ENV: 'production', ...env };
  const child = spawn(program, args, { stdio: ['ignore', file, file], env: environment, cwd: folder });
  closeSync(file);
  running.add(child);
  const it = { name, child, pid: child.pid, ended: null };
  it.end = new Promise((resolve) => {
    const finish = (how) => {
      running.delete(child);
      it.ended = how;
      resolve();
    };
    child.once('error', (error) => finish(error.message));
    child.once('exit', (code, signal) => finish(signal ?? `exit code ${code}`));
  });
  it.log = () => readFileSync(path, 'utf8').trim().split('\n').slice(-LOG_LINES).join('\n');
  return it;
}

/** Throws when the process is not there any more. */
export function alive(it) {
  if (it.ended !== null) throw new Error(`${it.name} ended (${it.ended}):\n${it.log()}`);
}

export async function stop(it) {
  it.child.kill('SIGTERM');
  await Promise.race([it.end, sleep(END_MS, undefined, { ref: false })]);
  it.child.kill('SIGKILL');
  await it.end;
}

/** Ends everything at once, for the way out. */
export function stopAll() {
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}

/** A loopback port that nobody listens on now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Waits until `check` does not throw. */
export async function ready(it, check) {
  const until = performance.now() + END_MS;
  for (;;) {
    alive(it);
    try {
      return await check();
    } catch (error) {
      if (performance.now() > until) throw new Error(`${it.name}: ${error.message}\n${it.log()}`);
    }
    await sleep(20);
  }
}
