// Runs → a table in Markdown, and ratios.
import { spread } from '../lib/report.mjs';

const grouped = (value) => Math.round(value).toLocaleString('en-US');

/** What each contestant held, and its figures at each rate that it held in every round. */
export function summary(names, runs, rates, rounds) {
  return names.map(({ id, title }) => {
    const own = runs.filter((run) => run.contestant === id);
    const highest = [];
    for (let round = 1; round <= rounds; round += 1) {
      const held = own.filter((run) => run.round === round && run.held).map((run) => run.rate);
      highest.push(Math.max(0, ...held));
    }
    const at = {};
    for (const rate of rates) {
      const held = own.filter((run) => run.rate === rate && run.held);
      if (held.length === rounds) {
        at[rate] = { cpu: spread(held.map((run) => run.cpu)), memory: spread(held.map((run) => run.memory)) };
      }
    }
    return { id, title, highest: spread(highest), at };
  });
}

/** Theirs over ours at each rate, the middle one of the rounds: neighbours in time, so that what else the machine does is the same. */
export function ratios([, ...others], runs, rates) {
  const of = (id, rate, round) => runs.find((run) => run.contestant === id && run.rate === rate && run.round === round && run.held);
  const rounds = [...new Set(runs.map((run) => run.round))];
  return others.map(({ id, title }) => {
    const at = {};
    for (const rate of rates) {
      const pairs = rounds.map((round) => [of('cio', rate, round), of(id, rate, round)]).filter(([ours, theirs]) => ours && theirs);
      if (pairs.length === 0) continue;
      const times = (key) => spread(pairs.map(([ours, theirs]) => theirs[key] / ours[key]));
      at[rate] = { cpu: times('cpu'), memory: times('memory') };
    }
    return { against: id, title, at };
  });
}

export function markdown({ settings, machine, contestants, compared, othersShare }) {
  const { rates, rounds, seconds, latency } = settings;
  const cell = (value, format) => (value === undefined ? '–' : format(value.median));
  const head = ['tool', 'highest held', ...rates.map((rate) => `CPU s at ${grouped(rate)}`), ...rates.map((rate) => `MiB at ${grouped(rate)}`)];
  const rule = ['---', ...head.slice(1).map(() => '--:')];
  const lines = contestants.map(({ title, highest, at }) => {
    const few = highest.least === highest.most ? grouped(highest.median) : `${grouped(highest.median)} (${grouped(highest.least)}–${grouped(highest.most)})`;
    const cpu = rates.map((rate) => cell(at[rate]?.cpu, (value) => value.toFixed(2)));
    const memory = rates.map((rate) => cell(at[rate]?.memory, grouped));
    return [title, few, ...cpu, ...memory];
  });
  const table = [head, rule, ...lines].map((line) => `| ${line.join(' | ')} |`).join('\n');
  const each = (at, key) =>
    Object.entries(at)
      .map(([rate, it]) => `${it[key].median.toPrecision(2)} at ${grouped(rate)}`)
      .join(', ');
  const known = compared.filter(({ at }) => Object.keys(at).length > 0);
  const sentences = known.map(({ title, at }) => `- ${title}, in multiples of ours: CPU ${each(at, 'cpu')}; memory ${each(at, 'memory')}.`);
  return `${machine}. Median of ${rounds} rounds of ${seconds} s, answers after ${latency} ms. Processes that are not of the bench had ${Math.round(othersShare.median * 100)} % of the machine (${Math.round(othersShare.most * 100)} % at most).

${table}

${sentences.join('\n')}`;
}
