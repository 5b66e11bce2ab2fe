"""Work that outlives its process: durable jobs, each with a Task that says how far it has come."""

from service.jobs.kinds import Kind, Rooms, Work
from service.jobs.letters import DeadLetter, letter
from service.jobs.run import Parked, Run
from service.jobs.runner import Runner
from service.jobs.tasks import enqueue, enqueue_quiet

__all__ = ["DeadLetter", "Kind", "Parked", "Rooms", "Run", "Runner", "Work", "enqueue", "enqueue_quiet", "letter"]
