"""The JSON of the peer: Pydantic models of what its routes take and give."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from schema.rules.calls import CallDirection, CallStatus, EndReason, Outcome, Role, Sentiment
from schema.rules.instants import format_instant
from schema.runtime import Runtime
from schema.services import recordings
from schema.tables import Call

Instant = Annotated[datetime, PlainSerializer(format_instant)]


class Public(BaseModel):
    """JSON in camel case."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class TranscriptLine(Public):
    """One line of what was said."""

    role: Role
    text: str
    start: float
    end: float


class Analysis(Public):
    """What a call came to."""

    summary: str
    sentiment: Sentiment
    outcome: Outcome
    action_items: list[str]
    extracted: dict[str, Any]


class CallSummary(Public):
    """The nine documented fields."""

    id: str
    status: CallStatus
    direction: CallDirection
    to: str
    duration: int | None
    summary: str | None
    sentiment: Sentiment | None
    recording_url: str | None
    created_at: Instant

    @classmethod
    def of(cls, call: Call, runtime: Runtime) -> Self:
        """The call as it is listed."""
        return cls(
            id=call.id,
            status=call.status,
            direction=call.direction,
            to=call.to_number,
            duration=call.duration,
            summary=call.summary,
            sentiment=call.sentiment,
            recording_url=recordings.link(runtime, call),
            created_at=call.created_at,
        )


class CallDetail(CallSummary):
    """Everything about one call."""

    from_: str = Field(alias="from")
    agent_id: str
    campaign_id: str | None
    contact_id: str | None
    phone_number_id: str
    started_at: Instant | None
    answered_at: Instant | None
    ended_at: Instant | None
    outcome: Outcome | None
    end_reason: EndReason | None
    sip_code: int | None
    transcript: list[TranscriptLine] | None
    analysis: Analysis | None
    updated_at: Instant

    @classmethod
    def of(cls, call: Call, runtime: Runtime) -> Self:
        """The call as it is shown alone."""
        return cls(
            id=call.id,
            status=call.status,
            direction=call.direction,
            to=call.to_number,
            duration=call.duration,
            summary=call.summary,
            sentiment=call.sentiment,
            recording_url=recordings.link(runtime, call),
            created_at=call.created_at,
            from_=call.from_number,
            agent_id=call.agent_id,
            campaign_id=call.campaign_id,
            contact_id=call.contact_id,
            phone_number_id=call.phone_number_id,
            started_at=call.started_at,
            answered_at=call.answered_at,
            ended_at=call.ended_at,
            outcome=call.outcome,
            end_reason=call.end_reason,
            sip_code=call.sip_code,
            transcript=call.transcript,
            analysis=call.analysis,
            updated_at=call.updated_at,
        )


class CallPage(Public):
    """Some calls, and how many there are in all."""

    calls: list[CallSummary]
    total: int
    limit: int
    offset: int


class PlaceCall(Public):
    """The body of `POST /calls`."""

    agent_id: str
    phone_number_id: str
    to: str
