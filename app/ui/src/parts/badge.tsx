/** A state in a word, with a dot of its tone: the word says it, the colour only helps. */
import type { ReactNode } from 'react'

import type { Tone } from '@/words/states'
import { plain, toneOf } from '@/words/states'

const LOOK: Record<Tone, string> = {
  good: 'bg-accent-wash text-accent',
  bad: 'bg-danger-wash text-danger',
  busy: 'bg-info-wash text-info',
  warn: 'bg-warn-wash text-warn',
  quiet: 'bg-sunken text-soft',
}

export function Badge({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <span
      className={`${LOOK[tone]} inline-flex items-center gap-1.5 rounded-full px-2 align-top text-[0.93em] leading-5 whitespace-nowrap`}
    >
      <span aria-hidden className={`size-1.5 rounded-full bg-current ${tone === 'busy' ? 'pulse' : ''}`} />
      {children}
    </span>
  )
}

/** The badge of an enum's value. */
export function State({ value }: { value: string }) {
  return <Badge tone={toneOf(value)}>{plain(value)}</Badge>
}
