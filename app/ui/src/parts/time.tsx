/** Instants that keep themselves up to date: `3 min. ago`, with the exact one in the title. */
import { useSyncExternalStore } from 'react'

import { clock, exactly, fromNow } from '@/words/time'

const listeners = new Set<() => void>()
let now = Date.now()
setInterval(() => {
  now = Date.now()
  for (const listener of listeners) listener()
}, 1_000)

/** Milliseconds since 1970; changes every second, for all at once. */
export function useNow(): number {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => now,
  )
}

export function Ago({ at }: { at: string }) {
  return (
    <time dateTime={at} title={exactly(at)} className="whitespace-nowrap">
      {fromNow(at, useNow())}
    </time>
  )
}

/** `in 4:59`, and then `now`. */
export function Countdown({ to }: { to: string }) {
  const seconds = (Date.parse(to) - useNow()) / 1000
  return (
    <time dateTime={to} title={exactly(to)} className="whitespace-nowrap">
      {seconds > 0 ? `in ${clock(seconds)}` : 'now'}
    </time>
  )
}
