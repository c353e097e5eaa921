/** Who is signed in, for every page below. */
import { createContext, useContext } from 'react'

import type { Session } from '@/api/session'

export interface SessionState {
  session: Session
  setSession: (session: Session | null) => void
}

export const SessionContext = createContext<SessionState | null>(null)

export function useSession(): SessionState {
  const state = useContext(SessionContext)
  if (!state) throw new Error('useSession is for pages of somebody who is signed in')
  return state
}
