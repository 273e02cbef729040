// Figures of runs → tables in Markdown, and what goes into the JSON.
import { readFileSync, writeFileSync } from 'node:fs';

const grouped = (value) => Math.round(value).toLocaleString('en-US');
const column = (title, key, format) => ({ title, key, format });

const TABLES = {
  unlimited: [
    column('jobs/s', 'jobsPerSecond', grouped),
    column('with its start', 'jobsPerSecondWithStart', grouped),
    column('CPU s', 'workerCpu', (value) => value.toFixed(2)),
    column("Redis' CPU s", 'redisCpu', (value) => value.toFixed(2)),
    column("simulator's CPU s", 'simulatorCpu', (value) => value.toFixed(2)),
    column('peak MiB', 'memory', grouped),
  ],
  limited: [
    column('events/s', 'jobsPerSecond', grouped),
    column('requests/s', 'requestsPerSecond', (value) => value.toFixed(1)),
    column('most requests in any second', 'mostRequestsInASecond', grouped),
    column('CPU s', 'workerCpu', (value) => value.toFixed(2)),
    column('peak MiB', 'memory', grouped),
  ],
};

/** The middle one, and the least and the most. */
export function spread(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  const median = (sorted[Math.ceil(half) - 1] + sorted[Math.floor(half)]) / 2;
  return { median, least: sorted[0], most: sorted.at(-1) };
}

/** For each contestant of a table: every figure's spread over its runs. */
export function summary(contestants, runs) {
  return contestants.map(({ id, title }) => {
    const own = runs.filter((run) => run.contestant === id);
    const keys = Object.keys(own[0]).filter((key) => typeof own[0][key] === 'number');
    return { id, title, ...Object.fromEntries(keys.map((key) => [key, spread(own.map((run) => run[key]))])) };
  });
}

/** Ours over theirs, of the medians. */
export function ratios([ours, ...theirs]) {
  const ratio = (other, key) => ours[key].median / other[key].median;
  return theirs.map((other) => ({
    against: other.id,
    title: other.title,
    jobsPerSecond: ratio(other, 'jobsPerSecond'),
    workerCpu: ratio(other, 'workerCpu'),
    memory: ratio(other, 'memory'),
  }));
}

function table(name, rows) {
  const columns = TABLES[name];
  const cell = ({ median, least, most }, format) => {
    const [low, middle, high] = [least, median, most].map(format);
    return low === high ? middle : `${middle} (${low}–${high})`;
  };
  const lines = rows.map((row) => [row.title, ...columns.map(({ key, format }) => cell(row[key], format))]);
  const head = ['worker', ...columns.map(({ title }) => title)];
  const rule = ['---', ...columns.map(() => '--:')];
  return [head, rule, ...lines].map((line) => `| ${line.join(' | ')} |`).join('\n');
}

function compared(rows) {
  const several = (value) => (value < 10 ? value.toFixed(1) : grouped(value));
  return ratios(rows)
    .map(({ title, jobsPerSecond, workerCpu, memory }) => {
      const plain = rows[0].title;
      return (
        `- ${plain} beside ${title}: ${several(jobsPerSecond)} times the jobs/s, ` +
        `${workerCpu.toPrecision(2)} times the CPU, ${memory.toFixed(2)} times the memory.`
      );
    })
    .join('\n');
}

/** Both tables as Markdown. */
export function markdown({ settings, machine, unlimited, limited, othersShare }) {
  const rounds = settings.rounds === 1 ? 'one round' : `median of ${settings.rounds} rounds (least–most)`;
  const others = `Processes that are not of the bench had ${Math.round(othersShare.median * 100)} % of the machine`;
  return `${machine}. ${rounds[0].toUpperCase()}${rounds.slice(1)}. ${others} (${Math.round(othersShare.most * 100)} % at most).

**No limit, ${settings.concurrency} at once**, ${grouped(settings.jobs)} jobs a run (${grouped(settings.slowJobs)} for the last):

${table('unlimited', unlimited)}

${compared(unlimited)}

**One workspace at ${settings.limit} requests/s**, ${grouped(settings.batchJobs)} jobs a run for the first, ${grouped(settings.guideJobs)} for the second:

${table('limited', limited)}

${compared(limited)}`;
}

/** Puts the figures between the markers of a document that name where they are `from`. */
export function write(path, from, text) {
  const document = readFileSync(path, 'utf8');
  const [first, last] = [`<!-- figures of ${from}: begin -->`, `<!-- figures of ${from}: end -->`];
  const [begin, end] = [document.indexOf(first), document.indexOf(last)];
  if (begin < 0 || end < begin) throw new Error(`${path} lacks the lines ${first} and ${last}: put them back`);
  writeFileSync(path, `${document.slice(0, begin + first.length)}\n${text}\n${document.slice(end)}`);
}
