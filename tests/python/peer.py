"""BullMQ for Python on the other side of the queue: the calls of tests/node/peer.mjs that it has too.

    python peer.py QUEUE   (REDIS_URL from the environment)
"""

import asyncio
import json
import os
import sys
import time
import traceback

from bullmq import Job, Queue, Worker

NAME = sys.argv[1]
OPTIONS = {"connection": os.environ["REDIS_URL"]}
FIELDS = [
    "id", "name", "data", "opts", "timestamp", "delay", "priority", "attemptsMade", "attemptsStarted",
    "stalledCounter", "processedOn", "finishedOn", "returnvalue", "failedReason", "stacktrace",
]


class Peer:
    def __init__(self):
        self.queue = Queue(NAME, OPTIONS)
        self.runs = []
        self.workers = []

    async def call(self, name, given):
        match name:
            case "job":
                # The state is read first: what the job holds is then no older.
                state = await self.queue.getJobState(given[0])
                return await self.view(await Job.fromId(self.queue, given[0]), state)
            case "runs":
                return self.runs
            case "worker.start":
                return self.start(*given)
            case "worker.close":
                while self.workers:
                    await self.workers.pop().close()
                return None
        on, method = name.split(".")
        if on == "queue":
            return await self.show(await getattr(self.queue, method)(*given))
        job = await Job.fromId(self.queue, given[0])
        return await self.show(await getattr(job, method)(*given[1:]))

    def start(self, options=None, behaviour=None):
        behaviour = behaviour or {}

        async def process(job, _token):
            self.runs.append({
                "id": job.id,
                "name": job.name,
                "attemptsMade": job.attemptsMade,
                "stalledCounter": job.stalledCounter,
                "at": round(time.time() * 1000),
            })
            await asyncio.sleep(behaviour.get("ms", 0) / 1000)
            if job.attemptsMade < behaviour.get("failures", 0):
                raise RuntimeError("as told")
            return {"by": "python"}

        self.workers.append(Worker(NAME, process, {**OPTIONS, **(options or {})}))

    async def view(self, job, state=None):
        if job is None:
            return None
        fields = {field: getattr(job, field, None) for field in FIELDS}
        return {**fields, "state": state or await job.getState()}

    async def show(self, value):
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
