/** `/session`: who is signed in, signing in and out, choosing a password. */
import { UNREACHABLE } from './errors'

export interface Session {
  user: { id: string; email: string; role: 'owner' | 'member'; mustChangePassword: boolean }
  workspace: { id: string; name: string; plan: string }
}

/** What the server refuses, with its sentence; `status` 0 when it was not reached. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message)
  }
}

/** Who is signed in; null for nobody. */
export async function currentSession(): Promise<Session | null> {
  try {
    return await request<Session>('GET', '/session')
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return null
    throw error
  }
}

export function signIn(email: string, password: string): Promise<Session> {
  return request('POST', '/session', { email, password })
}

export function choosePassword(currentPassword: string, newPassword: string): Promise<Session> {
  return request('POST', '/session/password', { currentPassword, newPassword })
}

export function signOut(): Promise<undefined> {
  return request('DELETE', '/session')
}

async function request<Answer>(method: string, path: string, body?: object): Promise<Answer> {
  const init: RequestInit = { method }
  if (body) Object.assign(init, { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
  const response = await fetch(path, init).catch(() => {
    throw new Refused(UNREACHABLE, 0)
  })
  if (response.status === 204) return undefined as Answer
  const answer = await response.json().catch(() => null)
  if (!response.ok) throw new Refused(answer?.error?.message ?? UNREACHABLE, response.status)
  return answer
}
