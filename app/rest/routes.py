"""The routes of the REST API, a row each: method, path, the operation behind it, and the status of success."""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "/api/v1"
INPUT, CSV = "input", "csv"


@dataclass(frozen=True, slots=True)
class Route:
    """One row. Parameters of the path and the query are the operation's variables; the JSON body is its `$input`.

    `body`: the variable that takes the body, where that is not `input`: `csv` takes CSV as text.
    `page`: the answer is the bare array of the page's `nodes`; `X-Total-Count` and `Link` say the rest (decision R2).
    `location`: what the created resource is below, when that is not the path itself.
    """

    method: str
    path: str
    operation: str
    status: int = 200
    page: bool = False
    location: str | None = None
    body: str = INPUT


# Of two rows that fit a request, the first answers.
ROUTES = (
    Route("GET", "/agents", "ListAgents", page=True),
    Route("POST", "/agents", "CreateAgent", 201),
    Route("GET", "/agents/{id}", "GetAgent"),
    Route("PATCH", "/agents/{id}", "UpdateAgent"),
    Route("DELETE", "/agents/{id}", "DeleteAgent", 204),
    Route("GET", "/calls", "ListCalls"),
    Route("POST", "/calls", "CreateCall", 201),
    Route("GET", "/calls/{id}", "GetCall"),
    Route("POST", "/calls/{id}/hangup", "HangUpCall"),
    Route("GET", "/campaigns", "ListCampaigns", page=True),
    Route("POST", "/campaigns", "CreateCampaign", 201),
    Route("GET", "/campaigns/{id}", "GetCampaign"),
    Route("PATCH", "/campaigns/{id}", "UpdateCampaign"),
    Route("GET", "/campaigns/{id}/contacts", "ListCampaignContacts", page=True),
    Route("POST", "/campaigns/{id}/contacts", "EnrolContacts"),
    Route("GET", "/appointments", "ListAppointments", page=True),
    Route("POST", "/appointments", "CreateAppointment", 201),
    Route("GET", "/appointments/{id}", "GetAppointment"),
    Route("PATCH", "/appointments/{id}", "UpdateAppointment"),
    Route("GET", "/contacts", "ListContacts", page=True),
    Route("POST", "/contacts", "CreateContact", 201),
    Route("POST", "/contacts/import", "ImportContacts", body=CSV),
    Route("GET", "/contacts/{id}", "GetContact"),
    Route("PATCH", "/contacts/{id}", "UpdateContact"),
    Route("DELETE", "/contacts/{id}", "DeleteContact", 204),
    Route("GET", "/phone-numbers", "ListPhoneNumbers", page=True),
    Route("GET", "/phone-numbers/{id}", "GetPhoneNumber"),
    Route("GET", "/do-not-call", "ListDoNotCall", page=True),
    Route("POST", "/do-not-call", "AddDoNotCall", 201),
    Route("GET", "/do-not-call/{id}", "GetDoNotCall"),
    Route("DELETE", "/do-not-call/{id}", "RemoveDoNotCall", 204),
    Route("GET", "/webhooks", "ListWebhooks", page=True),
    Route("POST", "/webhooks", "CreateWebhook", 201),
    Route("GET", "/webhooks/deliveries/{id}", "GetDelivery"),
    Route("POST", "/webhooks/deliveries/{id}/resend", "ResendDelivery"),
    Route("GET", "/webhooks/{id}", "GetWebhook"),
    Route("PATCH", "/webhooks/{id}", "UpdateWebhook"),
    Route("DELETE", "/webhooks/{id}", "DeleteWebhook", 204),
    Route("GET", "/webhooks/{id}/deliveries", "ListDeliveries", page=True),
    Route("POST", "/webhooks/{id}/test", "TestWebhook", 201, location="/webhooks/deliveries"),
    Route("POST", "/webhooks/{id}/rotate-secret", "RotateWebhookSecret"),
    Route("POST", "/webhooks/{id}/recover", "RecoverDeliveries"),
    Route("POST", "/events/trigger", "TriggerEvent"),
)
