"""The examples of `rest-api.md`, with its `clx...` spelled out."""

from __future__ import annotations

from typing import Any

ID = "clx0a1b2c3d4e5f6g7h8i9j0k"
ANSWERS: list[tuple[str, Any]] = [
    (
        "/agents",
        [
            {
                "id": ID,
                "name": "Sales Rep - Sarah",
                "isActive": True,
                "voice": "jennifer",
                "firstMessage": "Hi, this is Sarah calling from Acme...",
                "createdAt": "2025-01-01T00:00:00Z",
            }
        ],
    ),
    (
        "/campaigns",
        [
            {
                "id": ID,
                "name": "Q1 Outreach",
                "status": "active",
                "callsTotal": 500,
                "callsCompleted": 230,
                "createdAt": "2025-01-01T00:00:00Z",
            }
        ],
    ),
    (
        "/calls",
        {
            "calls": [
                {
                    "id": ID,
                    "status": "completed",
                    "direction": "outbound",
                    "to": "+15551234567",
                    "duration": 183,
                    "summary": "Prospect interested in a demo next week.",
                    "sentiment": "positive",
                    "recordingUrl": "https://...",
                    "createdAt": "2025-01-15T14:23:00Z",
                }
            ],
            "total": 1523,
            "limit": 50,
            "offset": 0,
        },
    ),
]
BODIES: list[tuple[str, str, dict[str, Any]]] = [
    (
        "POST",
        "/agents",
        {
            "name": "Support Agent",
            "systemPrompt": "You are a helpful support agent for Acme Corp...",
            "firstMessage": "Hi, this is Acme support. How can I help you today?",
            "voice": "jennifer",
            "language": "en-US",
            "maxCallDuration": 600,
        },
    ),
    ("PATCH", "/agents/{id}", {"name": "New Name", "isActive": False}),
    (
        "POST",
        "/campaigns",
        {
            "name": "February Outreach",
            "agentId": ID,
            "phoneNumberId": ID,
            "scheduledStart": "2025-02-01T09:00:00Z",
            "timezone": "America/New_York",
            "callWindow": {"start": "09:00", "end": "17:00"},
            "maxConcurrentCalls": 3,
        },
    ),
    ("PATCH", "/campaigns/{id}", {"status": "paused"}),
    ("POST", "/calls", {"agentId": ID, "phoneNumberId": ID, "to": "+15551234567"}),
    (
        "POST",
        "/appointments",
        {
            "contactId": ID,
            "startTime": "2025-02-15T10:00:00Z",
            "endTime": "2025-02-15T10:30:00Z",
            "title": "Product Demo",
            "notes": "Prospect is interested in the CRM integration",
        },
    ),
    ("PATCH", "/appointments/{id}", {"status": "cancelled"}),
]
AGENT = BODIES[0][2]
CAMPAIGN = BODIES[2][2]
APPOINTMENT = BODIES[5][2]
