/** The graph's enums as words, and which of four tones each has. */

export type Tone = 'good' | 'bad' | 'busy' | 'quiet' | 'warn'

/** `IN_PROGRESS` → `In progress`: for everything without a better sentence. */
export function plain(value: string): string {
  const words = value.toLowerCase().replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

const TONES: Record<string, Tone> = {
  ACTIVE: 'good',
  APPOINTMENT_BOOKED: 'good',
  CALLING: 'busy',
  CANCELLED: 'quiet',
  COMPLETED: 'good',
  CONFIRMED: 'good',
  DELIVERED: 'good',
  DO_NOT_CALL: 'bad',
  FAILED: 'bad',
  FINISHED: 'good',
  INTERESTED: 'good',
  IN_PROGRESS: 'busy',
  NEGATIVE: 'bad',
  NO_SHOW: 'warn',
  PAUSED: 'warn',
  PENDING: 'busy',
  POSITIVE: 'good',
  QUEUED: 'quiet',
}

export function toneOf(value: string): Tone {
  return TONES[value] ?? 'quiet'
}

const END_REASONS: Record<string, string> = {
  CALLEE_HANGUP: 'The callee hung up',
  NO_ANSWER: 'Nobody answered',
  BUSY: 'The line was busy',
  REJECTED: 'The callee declined the call',
  VOICEMAIL: 'Voicemail picked up',
  CALL_SCREENED: 'A call screener picked up and did not put it through',
  OPTED_OUT: 'The callee asked not to be called again',
  AGENT_HANGUP: 'The agent ended the call',
  TRANSFERRED: 'The agent put the callee through to somebody',
  MAX_DURATION: 'The call reached the agent’s longest duration',
  SILENCE_TIMEOUT: 'The line stayed silent',
  CANCELLED: 'Cancelled before it was dialed',
  CAMPAIGN_CANCELLED: 'Its campaign was cancelled before it was dialed',
  EXPIRED: 'It waited too long to be dialed',
  BLOCKED_DO_NOT_CALL: 'Not dialed: the number is on the do-not-call list',
  BLOCKED_WINDOW: 'Not dialed: its hours never open',
  BLOCKED_LIMIT: 'Not dialed: a limit was reached',
  BLOCKED_DUPLICATE: 'Not dialed: another contact has the same number',
  BLOCKED_CONTACT_DELETED: 'Not dialed: the contact was deleted',
  INVALID_NUMBER: 'The number cannot be called',
  UNALLOCATED_NUMBER: 'The number is not in service',
  NUMBER_CHANGED: 'The number has changed',
  CARRIER_CONGESTION: 'The carrier was congested',
  CARRIER_REJECTED: 'The carrier refused the call',
  CARRIER_UNREACHABLE: 'The carrier could not be reached',
  SUBMISSION_UNKNOWN: 'The carrier’s answer was lost; the call is not dialed again blindly',
  MEDIA_FAILURE: 'The sound of the call failed',
  AGENT_ERROR: 'The agent failed',
  INTERNAL_ERROR: 'Something went wrong on the server',
  INTERRUPTED: 'The server stopped in the middle of the call',
}

/** Why a call ended, or was never dialed. */
export function endReason(value: string): string {
  return END_REASONS[value] ?? plain(value)
}

const WAITS: Record<string, string> = {
  PLAN_LIMIT: 'Waits for a slot: the plan’s calls at the same time are all in use',
  CAMPAIGN_LIMIT: 'Waits for a slot of its campaign',
  CAMPAIGN_PAUSED: 'Waits: its campaign is paused',
  NOT_STARTED: 'Waits for the campaign’s start',
  CALL_WINDOW: 'Waits for the campaign’s calling hours',
  CONTACT_WINDOW: 'Waits for the contact’s own hours',
  NUMBER_BUSY: 'Waits: another call to the same number is under way',
  RETRY: 'Waits to be tried again',
  AGENT_INACTIVE: 'Waits: the agent is switched off',
  NUMBER_INACTIVE: 'Waits: the phone number is switched off',
  PACE: 'Waits for its turn at the number’s pace',
  CARRIER: 'Waits for the carrier',
}

/** Why a call or a contact is not dialed now. */
export function waitReason(value: string): string {
  return WAITS[value] ?? plain(value)
}

const ERROR_CLASSES: Record<string, string> = {
  DNS: 'The host’s name was not found',
  CONNECT: 'No connection',
  TLS: 'The encryption failed',
  TIMEOUT: 'No answer in time',
  BLOCKED: 'Not allowed: the address is not a public one',
}

/** Why an attempt of a delivery has no status. */
export function errorClass(value: string): string {
  return ERROR_CLASSES[value] ?? plain(value)
}

export const EVENTS: Record<string, string> = {
  'call.started': 'A call was handed to the carrier',
  'call.ended': 'A call that connected is over',
  'call.failed': 'A call did not connect',
  'transcript.ready': 'A transcript can be read',
  'analysis.complete': 'A call has been analysed',
}
