"""A bare FastAPI route on uvicorn, run as the service is run."""

from __future__ import annotations

import os

import uvicorn
from fastapi import FastAPI, Request, Response

BODY = os.environ["BENCH_BODY"].encode()
app = FastAPI()


@app.get("/fhir/{type}/{id}")
async def read(request: Request) -> Response:
    """The same bytes for every id."""
    return Response(BODY, media_type="application/fhir+json")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), access_log=False, log_level="error")
