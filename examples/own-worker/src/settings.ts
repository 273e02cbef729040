// What the operator tells every worker container; README.md lists it.
import { readFileSync } from 'node:fs';

export interface Settings {
  redisUrl: string;
  /** The authority that signed the certificate of Redis, in PEM, where the pipeline names one. */
  redisCa: string | undefined;
  queue: string;
  prefix: string;
  concurrency: number;
  /** For all pods together; 0 is no limit. */
  requestsPerSecond: number;
  keep: { completed: number; failed: number };
  graceSeconds: number;
  customerio: { siteId: string; apiKey: string; region: 'us' | 'eu'; url: string | undefined };
}

export class SettingsError extends Error {}

export function settings(env: NodeJS.ProcessEnv): Settings {
  const required = (name: string): string => {
    const value = env[name];
    if (!value) throw new SettingsError(`${name} is not set; in a pod the operator sets it`);
    return value;
  };
  const whole = (name: string, otherwise: number): number => {
    const number = Number(env[name] ?? otherwise);
    if (!Number.isSafeInteger(number) || number < 0) {
      throw new SettingsError(`${name}: ${JSON.stringify(env[name])} is no whole number from 0 on`);
    }
    return number;
  };
  const region = env.CUSTOMERIO_REGION ?? 'us';
  if (region !== 'us' && region !== 'eu') throw new SettingsError(`CUSTOMERIO_REGION: us or eu, not ${JSON.stringify(region)}`);
  return {
    redisUrl: env.REDIS_URL || 'redis://localhost:6379',
    redisCa: env.CIO_REDIS_CA_FILE && readFileSync(env.CIO_REDIS_CA_FILE, 'utf8'),
    queue: env.CIO_QUEUE || 'cio-events',
    prefix: env.CIO_QUEUE_PREFIX || 'bull',
    // One job is one request here: jobs at once are requests at once, and the smaller bound holds.
    concurrency: Math.max(1, Math.min(whole('CIO_CONCURRENCY', 10), whole('CIO_MAX_CONCURRENT', 15))),
    requestsPerSecond: whole('CIO_REQUESTS_PER_SECOND', 80),
    keep: { completed: whole('CIO_KEEP_COMPLETED', 10_000), failed: whole('CIO_KEEP_FAILED', 50_000) },
    graceSeconds: whole('CIO_GRACE', 25),
    customerio: {
      siteId: required('CUSTOMERIO_SITE_ID'),
      apiKey: required('CUSTOMERIO_TRACK_API_KEY'),
      region,
      url: env.CUSTOMERIO_TRACK_URL,
    },
  };
}
