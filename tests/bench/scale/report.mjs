// Figures → a table in Markdown.
const seconds = (value) => (value === null || value === undefined ? 'not within the time' : `${value.toFixed(1)} s`);
const number = (value) => {
  if (!Number.isFinite(value)) throw new Error('a figure is missing');
  return value;
};
const whole = (value) => Math.round(number(value)).toLocaleString('en-US');
const perSecond = ({ writes, seconds: span }) => (writes / span).toFixed(2);
const cores = ({ cost, seconds: span }, name) => (cost[name].cpu / span).toFixed(3);
const both = (figure) => `${figure('operator')}, ${figure('adapter')}`;
const latency = ({ p50, p99 }) => `${p50.toFixed(1)} ms, ${p99.toFixed(1)} ms`;
const within = (answers, bound) => `${number((100 * answers[bound]) / answers['+Inf']).toFixed(2)} %`;
const asked = (ask, wanted) => [
  ['a question about a metric, p50 and p99', latency(ask), wanted],
  ['one that the API server answers by itself, in turn with it, p50 and p99', latency(ask.own)],
];

const requests = ({ requests: verbs }, pipelines) => (Object.values(verbs).reduce((sum, times) => sum + times, 0) / pipelines).toFixed(1);

function ours({ settings, appear, quiet, ask, moving, restart }) {
  return [
    ['until every object is applied and every status says so', seconds(appear.said), 'under 120 s'],
    ['until every pod is available', seconds(appear.available)],
    ['from then until the last word of a status is written', seconds(quiet.settled)],
    ["the operator's CPU until every pod is available", seconds(appear.cost.operator.cpu)],
    ["the operator's requests to the API server until then, for each pipeline", requests(appear, settings.pipelines)],
    [`writes in ${whole(quiet.seconds)} quiet seconds, Leases apart`, whole(quiet.writes), '0'],
    ['cores, quiet: operator, adapter', both((name) => cores(quiet, name))],
    ['writes/s while every depth moves', perSecond(moving), 'under 5'],
    ['cores meanwhile: operator, adapter', both((name) => cores(moving, name))],
    ['memory, MiB (most): operator, adapter', both((name) => `${whole(quiet.cost[name].memory)} (${whole(moving.cost[name].peak)})`), 'under 60, under 30'],
    ['memory of an operator that has just caught up after a start', `${whole(restart.memory.memory)} (${whole(restart.memory.peak)})`],
    ...asked(ask, 'p99 under 5 ms'),
    ['of those, without a value', `${whole(ask.empty)} of ${whole(ask.requests)}`, '0'],
    [`of the adapter's ${whole(quiet.answers['+Inf'])} answers in the quiet seconds, within 5 ms by its own clock`, within(quiet.answers, '0.005')],
    ['operator ended: what was changed meanwhile is done', seconds(restart.acted)],
    ['operator ended: every pipeline was looked at', seconds(restart.caughtUp), '30 s'],
  ];
}

function theirs({ appear, quiet, ask }, pipelines) {
  const ready = appear.ready === null ? `${whole(appear.of)} of ${whole(pipelines)} after ${whole(appear.seconds)} s` : seconds(appear.ready);
  return [
    ['until every ScaledObject is ready and has its HPA', ready],
    [`writes/s in ${whole(quiet.seconds)} quiet seconds, Leases apart`, perSecond(quiet)],
    ['cores, quiet: operator, adapter', both((name) => cores(quiet, name))],
    ['memory, MiB (most): operator, adapter', both((name) => `${whole(quiet.cost[name].memory)} (${whole(quiet.cost[name].peak)})`)],
    ...asked(ask),
  ];
}

const row = ([what, figure, wanted = '']) => `| ${what} | ${figure} | ${wanted} |`;
const table = (rows) => ['| what | figure | wanted |', '| --- | --: | --- |', ...rows.map(row)].join('\n');

export function markdown(all, keda) {
  const { pipelines } = all.settings;
  const parts = [`${all.machine}. ${whole(pipelines)} pipelines.`, table(ours(all))];
  if (keda) parts.push(`KEDA ${keda.version}, ${whole(pipelines)} ScaledObjects on Redis lists, on Deployments that were there before:`, table(theirs(keda, pipelines)));
  return parts.join('\n\n');
}
