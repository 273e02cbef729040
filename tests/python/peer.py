"""BullMQ for Python on the other side of the queue: the calls of tests/node/peer.mjs that it has too.

    python peer.py QUEUE   (REDIS_URL from the environment)
"""

import asyncio
import json
import os
import sys
import time
import traceback

from bullmq import FlowProducer, Job, Queue, QueueEvents, Worker
from bullmq.timer import Timer

NAME = sys.argv[1]
OPTIONS = {"connection": os.environ["REDIS_URL"]}
FIELDS = [
    "id", "name", "data", "opts", "timestamp", "delay", "priority", "attemptsMade", "attemptsStarted",
    "stalledCounter", "processedOn", "finishedOn", "returnvalue", "failedReason", "stacktrace",
]


class Recording(QueueEvents):
    """What a listener of each event is told; a job's own channel says the same again."""

    def __init__(self):
        self.seen = []
        super().__init__(NAME, {**OPTIONS, "lastEventId": "0"})

    def emit(self, event, *rest):
        if event == "error":
            self.seen.append({"event": event, "message": str(rest[0])})
        elif isinstance(rest[0], dict) and ":" not in event:
            self.seen.append({"event": event, **rest[0]})
        super().emit(event, *rest)


class Peer:
    def __init__(self):
        self.queue = Queue(NAME, OPTIONS)
        self.flows = None
        self.events = None
        self.runs = []
        self.workers = []
        self.timers = []

    async def call(self, name, given):
        own = getattr(self, f"on_{name.replace('.', '_')}", None)
        if own:
            return await own(*given)
        on, method = name.split(".")
        if on == "queue":
            return await self.show(await getattr(self.queue, method)(*given))
        job = await Job.fromId(self.queue, given[0])
        return await self.show(await getattr(job, method)(*given[1:]))

    async def on_job(self, id):
        # The state is read first: what the job holds is then no older.
        state = await self.queue.getJobState(id)
        return await self.view(await Job.fromId(self.queue, id), state)

    async def on_flows_add(self, flow):
        self.flows = self.flows or FlowProducer(OPTIONS)
        return await self.view((await self.flows.add(flow))["job"])

    # Node's takes what is made each time as one object.
    async def on_queue_upsertJobScheduler(self, id, repeat, template):
        await self.queue.upsertJobScheduler(id, repeat, template["name"], template["data"], template.get("opts"))

    async def on_events_start(self):
        self.events = Recording()

    async def on_events(self):
        return self.events.seen

    async def on_finished(self, id, ttl):
        """There is no `waitUntilFinished`: this is what a listener of the job's own channels does."""
        end = asyncio.get_running_loop().create_future()
        for told in self.events.seen:
            if told.get("jobId") == id and told["event"] in ("completed", "failed"):
                end.set_result(told)
        for event in ("completed", "failed"):
            self.events.on(f"{event}:{id}", lambda told, _: end.done() or end.set_result(told))
        told = await asyncio.wait_for(end, ttl / 1000)
        if "failedReason" in told:
            raise RuntimeError(told["failedReason"])
        return told["returnvalue"]

    async def on_runs(self):
        return self.runs

    async def on_worker_start(self, options=None, behaviour=None, name=NAME):
        behaviour = behaviour or {}

        async def process(job, _token):
            self.runs.append({
                "queue": name,
                "id": job.id,
                "name": job.name,
                "attemptsMade": job.attemptsMade,
                "stalledCounter": job.stalledCounter,
                "children": await job.getChildrenValues(),
                "at": round(time.time() * 1000),
            })
            await asyncio.sleep(behaviour.get("ms", 0) / 1000)
            if job.attemptsMade < behaviour.get("failures", 0):
                raise RuntimeError("as told")
            return {"by": "python"}

        worker = Worker(name, process, {**OPTIONS, **(options or {})})
        self.workers.append(worker)
        # Only looks for jobs whose worker has gone.
        if options and options.get("autorun") is False:
            self.timers.append(Timer(options["stalledInterval"] / 1000, worker.runStalledJobsCheck, worker.emit))

    async def on_worker_close(self):
        while self.timers:
            self.timers.pop().stop()
        while self.workers:
            await self.workers.pop().close()

    async def view(self, job, state=None):
        if job is None:
            return None
        fields = {field: getattr(job, field, None) for field in FIELDS}
        return {**fields, "state": state or await job.getState()}

    async def show(self, value):
        if isinstance(value, list):
            return [await self.show(item) for item in value]
        return await self.view(value) if isinstance(value, Job) else value


async def main():
    peer = Peer()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request = json.loads(line)
        try:
            answer = {"value": await peer.call(request["call"], request["arguments"])}
        except Exception:  # whatever it is, the test shows it
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)
    os._exit(0)


asyncio.run(main())
