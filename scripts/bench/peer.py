"""The peer: the calls of the REST API in FastAPI + SQLModel's AsyncSession, as people write it.

It does what ours does on the same database: the key by its SHA-256, `lastUsedAt` once a minute, the rate limit counted
in memory, pages with their total, one call with transcript and analysis, and a call placed after the checks of agent,
number and do-not-call list. It is spared what ours has besides: request ids, metrics, body limits, access rules.
Tables and the rules for numbers, ids and links are ours, so that framework and data access are what differs.
"""

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from peer_models import CallDetail, CallPage, CallSummary, PlaceCall
from processes import announce
from sqlalchemy import event, func
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.listening import listen
from schema.errors import Invalid
from schema.rules.calls import CallStatus
from schema.rules.ids import new_id
from schema.rules.phone import normalise
from schema.rules.plans import PLANS
from schema.runtime import Runtime
from schema.settings import Settings, load_settings
from schema.tables import Agent, ApiKey, Call, Contact, DoNotCall, PhoneNumber, Workspace

CODES = {400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 429: "RATE_LIMITED"}


class Limiter:
    """Requests of each key in this minute."""

    def __init__(self) -> None:
        self.window = 0
        self.used: dict[str, int] = {}

    def hit(self, key_id: str, limit: int | None) -> None:
        """Count one. Raises HTTPException 429."""
        window = int(time.time() // 60)
        if window != self.window:
            self.window, self.used = window, {}
        self.used[key_id] = self.used.get(key_id, 0) + 1
        if limit is not None and self.used[key_id] > limit:
            raise HTTPException(429, "Too many requests")


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """A session for the length of a request."""
    async with AsyncSession(request.app.state.engine, expire_on_commit=False) as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


async def get_key(request: Request, session: Session, bearer: Bearer) -> ApiKey:
    """The caller's key, counted against its limit. Raises HTTPException 401 or 429."""
    now = datetime.now(UTC)
    found = None
    if bearer is not None:
        digest = hashlib.sha256(bearer.credentials.encode()).hexdigest()
        statement = (
            select(ApiKey, Workspace)
            .join(Workspace, col(Workspace.id) == ApiKey.workspace_id)
            .where(ApiKey.digest == digest, col(ApiKey.revoked_at).is_(None))
        )
        found = (await session.exec(statement)).first()
    if found is None or (found[0].expires_at is not None and found[0].expires_at <= now):
        raise HTTPException(401, "Missing or invalid API key")
    key, workspace = found
    if key.last_used_at is None or now - key.last_used_at >= timedelta(minutes=1):
        key.last_used_at = now
        session.add(key)
        await session.commit()
    request.app.state.limiter.hit(key.id, PLANS[workspace.plan].requests_per_minute)
    return key


def get_runtime(request: Request) -> Runtime:
    """What signs the links to recordings."""
    return request.app.state.runtime


Key = Annotated[ApiKey, Depends(get_key)]
Links = Annotated[Runtime, Depends(get_runtime)]


router = APIRouter()


@router.get("/calls")
async def list_calls(  # noqa: PLR0917 (as FastAPI wants it)
    session: Session,
    key: Key,
    links: Links,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
    status: CallStatus | None = None,
    agent_id: Annotated[str | None, Query(alias="agentId")] = None,
    campaign_id: Annotated[str | None, Query(alias="campaignId")] = None,
    start: Annotated[datetime | None, Query(alias="from")] = None,
    end: Annotated[datetime | None, Query(alias="to")] = None,
) -> CallPage:
    where = [col(Call.workspace_id) == key.workspace_id]
    if status is not None:
        where.append(col(Call.status) == status)
    if agent_id is not None:
        where.append(col(Call.agent_id) == agent_id)
    if campaign_id is not None:
        where.append(col(Call.campaign_id) == campaign_id)
    if start is not None:
        where.append(col(Call.created_at) >= start)
    if end is not None:
        where.append(col(Call.created_at) <= end)
    newest = (col(Call.created_at).desc(), col(Call.id).desc())
    calls = await session.exec(select(Call).where(*where).order_by(*newest).limit(limit).offset(offset))
    total = await session.exec(select(func.count()).select_from(Call).where(*where))
    summaries = [CallSummary.of(call, links) for call in calls]
    return CallPage(calls=summaries, total=total.one(), limit=limit, offset=offset)


@router.get("/calls/{id}")
async def get_call(session: Session, key: Key, links: Links, id: str) -> CallDetail:
    call = (await session.exec(select(Call).where(Call.id == id, Call.workspace_id == key.workspace_id))).first()
    if call is None:
        raise HTTPException(404, f"Call with id {id} not found")
    return CallDetail.of(call, links)


@router.post("/calls", status_code=201)
async def place_call(session: Session, key: Key, links: Links, body: PlaceCall) -> CallDetail:
    to = normalise(body.to, "to")
    ours = key.workspace_id
    agent = await one(session, Agent, body.agent_id, ours, col(Agent.deleted_at).is_(None))
    number = await one(session, PhoneNumber, body.phone_number_id, ours)
    listed = select(DoNotCall).where(DoNotCall.workspace_id == ours, DoNotCall.phone_number == to)
    if (await session.exec(listed)).first():
        raise HTTPException(400, f"{to} is on the do-not-call list")
    known = select(Contact).where(
        Contact.workspace_id == ours, Contact.phone_number == to, col(Contact.deleted_at).is_(None)
    )
    contact = (await session.exec(known)).first()
    now = datetime.now(UTC)
    call = Call(
        id=new_id(now),
        workspace_id=ours,
        to_number=to,
        from_number=number.phone_number,
        agent_id=agent.id,
        phone_number_id=number.id,
        contact_id=contact.id if contact else None,
        due_at=now,
        created_at=now,
        updated_at=now,
    )
    session.add(call)
    await session.commit()
    return CallDetail.of(call, links)


async def one(session: AsyncSession, table: Any, id: str, workspace_id: str, *where: Any) -> Any:
    """The active row with that id. Raises HTTPException 404 or 400."""
    found = await session.exec(select(table).where(table.id == id, table.workspace_id == workspace_id, *where))
    row = found.first()
    if row is None:
        raise HTTPException(404, f"{table.NOUN} with id {id} not found")
    if not row.is_active:
        raise HTTPException(400, f"{table.NOUN} with id {id} is not active")
    return row


def envelope(status: int, message: str) -> JSONResponse:
    """The document's error."""
    return JSONResponse({"error": {"code": CODES[status], "message": message}}, status)


def create_app(settings: Settings) -> FastAPI:
    """The application over the database that the settings name."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.engine = open_engine(settings)
        app.state.runtime = Runtime.open(settings)
        app.state.limiter = Limiter()
        yield
        await app.state.engine.dispose()

    app = FastAPI(lifespan=lifespan)
    app.include_router(router, prefix="/api/v1")
    app.add_exception_handler(HTTPException, refuse)
    app.add_exception_handler(RequestValidationError, refuse_parameters)
    app.add_exception_handler(Invalid, refuse_value)
    return app


async def refuse(_request: Request, error: HTTPException) -> JSONResponse:
    return envelope(error.status_code, str(error.detail))


async def refuse_parameters(_request: Request, _error: RequestValidationError) -> JSONResponse:
    return envelope(400, "Invalid parameters")


async def refuse_value(_request: Request, error: Invalid) -> JSONResponse:
    return envelope(400, error.message)


def open_engine(settings: Settings) -> AsyncEngine:
    """The usual engine; on SQLite with the pragmas that ours sets, or the comparison would be of those."""
    if settings.database_url is not None:
        address = settings.database_url.get_secret_value().partition("://")[2]
        return create_async_engine(f"postgresql+asyncpg://{address}", pool_size=10)
    engine = create_async_engine(f"sqlite+aiosqlite:///{settings.sqlite_path}", connect_args={"timeout": 30})

    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", f"synchronous={settings.sqlite_synchronous}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def main() -> None:
    """Serve on any free port."""
    settings = load_settings()
    listener = listen("127.0.0.1", 0)
    announce(listener)
    config = uvicorn.Config(
        create_app(settings), loop="uvloop", http="httptools", access_log=False, log_level="warning", lifespan="on"
    )
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
