// What processes of the cluster cost: CPU and memory, by program and first argument.
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { cpuSeconds } from '../lib/proc.mjs';

function* processes() {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const [program, ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      yield { pid, name: basename(program), args };
    } catch {
      // It has ended.
    }
  }
}

function memory(pid, field) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)[1]) / 1024;
}

/** The processes that `wanted` picks: their CPU seconds in sum, and the memory of the largest, in MiB. */
export function cost(wanted) {
  const found = [...processes()].filter(wanted);
  const each = found.map(({ pid }) => ({ cpu: cpuSeconds(pid), now: memory(pid, 'VmRSS'), peak: memory(pid, 'VmHWM') }));
  return {
    processes: each.length,
    cpu: each.reduce((sum, { cpu }) => sum + cpu, 0),
    memory: Math.max(0, ...each.map(({ now }) => now)),
    peak: Math.max(0, ...each.map(({ peak }) => peak)),
  };
}

/** The processes `cio COMMAND`. */
export const cio = (command) => cost(({ name, args }) => name === 'cio' && args[0] === command);
/** The API server, or another part of the cluster: one program plays them all, by its name. */
export const part = (wanted) => cost(({ name }) => name === wanted);
