"""The addresses of the server, and what it says when something is wrong."""

import asyncio
import hmac
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.requests import ClientDisconnect

from audiostride.data.audio import BadAudioError, NotAudioError
from audiostride.extras import installed_version
from audiostride.prediction.model import WindowModel
from audiostride.prediction.selection import TOP_K
from audiostride.serving.answer import AnswerError, Question, TooLongError
from audiostride.serving.origin import LOCAL, Hosts, OriginCheck
from audiostride.serving.service import Limits, Service
from audiostride.vocabulary import MAX_WINDOW_S

MAX_TOP_K = 1000
PARAMETERS = ("top_k", "hop_s", "spectrogram")  # of /predict
# the pages hold their scripts, and ask this server only; the recorder's worklet is a blob
CONTENT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' blob:; style-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
STATUS: dict[type[Exception], int] = {  # of what goes wrong with a file; the first that fits
    NotAudioError: 415,
    BadAudioError: 422,
    AnswerError: 422,
    TooLongError: 413,
    TimeoutError: 503,
    ClientDisconnect: 400,  # which nobody reads
}
ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "No file, an empty one, or a broken form"},
    401: {"description": "The server was started with a token, and it did not come or is another"},
    403: {"description": "A name that the server does not answer to, or a page of another site"},
    408: {"description": "The file did not come in time"},
    413: {"description": "Too large or too long"},
    415: {"description": "Not audio that libsndfile reads"},
    422: {"description": "Audio that is truncated or not finite, or a parameter that is unknown or out of range"},
    503: {"description": "Too many requests at a time, or no answer in time"},
    507: {"description": "No room for the file on the server"},
}
AUDIO_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def build_app(
    model: WindowModel,
    limits: Limits,
    token: str | None = None,
    *,
    threshold: float | None = None,
    hosts: Hosts = LOCAL,
    name: str = "audiostride",
) -> FastAPI:
    """Build the application that serves a model.

    Args:
        model: what `audiostride.loading.load_model` gives.
        limits: on uploads.
        token: that `/predict` and `/model` ask for, as `Authorization: Bearer`.
        threshold: probability from which on a class is detected; by default the model's own.
        hosts: the names that the server answers to; by default those of this machine.
        name: of the model, which the page shows.
    """
    service = Service(model, limits, threshold)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(title="audiostride", version=installed_version(), docs_url=None, redoc_url=None, lifespan=lifespan)
    _answer_errors(app)
    _add_pages(app)

    def authorize(request: Request) -> None:
        if token is not None and not is_bearer(request.headers.get("authorization", ""), token):
            raise HTTPException(401, "expected the header Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})

    guarded = [Depends(authorize)]

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Tell whether the server answers, what it is busy with, and whether it asks for a token."""
        if not service.batcher.alive:
            raise HTTPException(503, "the thread of the model has ended")
        return {
            "status": "ok",
            "uploads": service.uploads.n_taken,
            "answers": service.answers.n_taken,
            "windows": service.windows.n_taken,
            "token_required": token is not None,
        }

    @app.get("/model", dependencies=guarded, responses={401: ERRORS[401]})
    async def about() -> dict[str, Any]:
        """Give what the model tells apart, and the limits on uploads."""
        return describe(service, name)

    @app.post(
        "/predict",
        response_class=JSONResponse,
        response_model=None,
        dependencies=[*guarded, Depends(check_parameters)],
        responses=ERRORS,
        openapi_extra=AUDIO_BODY,
    )
    async def predict(
        request: Request,
        *,
        top_k: Annotated[int, Query(ge=1, le=MAX_TOP_K, description="Classes per task, best first.")] = TOP_K,
        hop_s: Annotated[
            float | None, Query(gt=0, le=MAX_WINDOW_S, description="Hop between windows; by default half a window.")
        ] = None,
        spectrogram: Annotated[bool, Query(description="Return a small log-mel picture as well.")] = False,
    ) -> Response:
        """Predict an audio file: the raw body, or the field `file` of a form."""
        try:
            content = await service.predict(request, Question(top_k, hop_s, spectrogram))
            return Response(content, media_type="application/json")
        except asyncio.CancelledError as error:  # told to whoever still waits
            raise HTTPException(503, "the server is shutting down", {"Connection": "close"}) from error

    app.add_middleware(OriginCheck, hosts=hosts)
    return app


def check_parameters(request: Request) -> None:
    """Raise HTTPException for a parameter that `/predict` does not have: a misspelt one would be ignored."""
    if unknown := [name for name in request.query_params if name not in PARAMETERS]:
        raise HTTPException(422, f"{unknown[0]}: no such parameter, expected one of {', '.join(PARAMETERS)}")


def is_bearer(header: str, token: str) -> bool:
    """Tell whether the header Authorization holds the token; the word before it may be in any case.

    >>> is_bearer("bearer sesame", "sesame"), is_bearer("Basic sesame", "sesame")
    (True, False)
    """
    scheme, _, given = header.partition(" ")
    right = hmac.compare_digest(given.lstrip(" ").encode("latin-1"), token.encode())
    return right and scheme.lower() == "bearer"


def describe(service: Service, name: str) -> dict[str, Any]:
    """Give what `/model` answers; a background class has no threshold, since it is never shown."""
    model, limits, least = service.model, service.limits, service.detections.thresholds
    return {
        "name": name,
        "sample_rate": model.sample_rate,
        "window_s": model.n_window / model.sample_rate,
        "max_mb": limits.max_mb,
        "max_s": limits.max_s,
        "tasks": {
            task: {
                "classes": list(names),
                "calibrated": model.temperatures[task] != 1,
                "kind": model.traits[task].kind,
                "background": model.traits[task].background,
                "thresholds": {n: v for n, v in zip(names, least[task].tolist(), strict=True) if v < math.inf},
            }
            for task, names in model.classes.items()
        },
    }


def _add_pages(app: FastAPI) -> None:
    for address, name in (("/", "page.html"), ("/docs", "docs.html")):
        content = Path(__file__).with_name(name).read_text(encoding="utf-8")
        app.add_api_route(address, _page(content), include_in_schema=False, response_model=None)


def _page(content: str) -> Callable[[], Awaitable[HTMLResponse]]:
    async def page() -> HTMLResponse:
        return HTMLResponse(content, headers={"Content-Security-Policy": CONTENT_POLICY})

    return page


def _answer_errors(app: FastAPI) -> None:
    """Give every error as JSON with a line of detail."""

    async def tell(request: Request, error: Exception) -> JSONResponse:
        status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
        return JSONResponse({"detail": str(error) or "the request was given up"}, status)

    async def tell_invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        problems = [f"{problem['loc'][-1]}: {problem['msg']}" for problem in error.errors()]
        return JSONResponse({"detail": "; ".join(problems)}, 422)

    async def tell_failure(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": "the server failed; its log says why"}, 500)

    for kind in STATUS:
        app.add_exception_handler(kind, tell)
    app.add_exception_handler(RequestValidationError, tell_invalid)
    app.add_exception_handler(Exception, tell_failure)
