/** One call: how it stands, while it goes on, and afterwards what was said, and how it sounded. */
import { useMemo, useRef, useState } from 'react'
import { useSubscription } from 'urql'
import { Link, useParams } from 'wouter'

import type { ResultOf } from '@/api/graphql'
import { graphql } from '@/api/graphql'
import { useAction, useReading } from '@/api/hooks'
import { State } from '@/parts/badge'
import { Button } from '@/parts/button'
import { Empty, ErrorNote, Loading } from '@/parts/notes'
import { Card, Fact, Facts, Page } from '@/parts/page'
import { Ago, useNow } from '@/parts/time'
import { endReason, plain, waitReason } from '@/words/states'
import { clock, dayAndTime } from '@/words/time'

const CALL = graphql(`
  query Call($id: ID!) {
    call(id: $id) {
      id
      status
      direction
      to
      from
      duration
      summary
      sentiment
      outcome
      answeredBy
      endReason
      waitingFor
      sipCode
      createdAt
      startedAt
      answeredAt
      endedAt
      recordingUrl
      transcript {
        role
        text
        start
        end
      }
      analysis {
        actionItems
        extracted
      }
      agent {
        id
        name
      }
      campaign {
        id
        name
      }
      contact {
        id
        name
      }
    }
  }
`)
const CHANGED = graphql(`
  subscription CallChanged($id: ID!) {
    callChanged(id: $id) {
      id
      status
      updatedAt
    }
  }
`)
const HANG_UP = graphql(`
  mutation HangUp($id: ID!) {
    hangUpCall(id: $id) {
      id
    }
  }
`)

type Shown = NonNullable<ResultOf<typeof CALL>['call']>
type Line = NonNullable<Shown['transcript']>[number]

export function Call() {
  const { id } = useParams<{ id: string }>()
  return <OneCall key={id} id={id} />
}

function OneCall({ id }: { id: string }) {
  const first = useReading(CALL, { id })
  const call = first.data?.call
  const open = call ? call.status === 'QUEUED' || call.status === 'IN_PROGRESS' : false
  const settled = Boolean(call && !open && (call.status === 'FAILED' || call.analysis))
  // The subscription says at once that something has changed; asking now and then brings what it does not carry.
  const reading = useReading(CALL, { id }, { every: settled || call === null ? 0 : open ? 3_000 : 1_500 })
  useSubscription({ query: CHANGED, variables: { id }, pause: !open }, (_, next) => {
    reading.reload()
    return next
  })
  const hangUp = useAction(HANG_UP)
  const error = reading.error ?? hangUp.error
  return (
    <Page
      title={call?.to ?? 'Call'}
      above={{ href: '/calls', label: 'Calls' }}
      beside={call && <State value={call.status} />}
      actions={
        call &&
        open && (
          <Button kind="danger" busy={hangUp.busy} onClick={() => void hangUp.run({ id }).then(reading.reload)}>
            {call.status === 'QUEUED' ? 'Cancel the call' : 'Hang up'}
          </Button>
        )
      }
    >
      {error && <ErrorNote>{error}</ErrorNote>}
      {call === null && <Empty title="There is no such call" />}
      {call === undefined && !error && <Loading />}
      {call && (
        <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-4 lg:grid-cols-[minmax(0,1fr)_20rem]">
          <div className="order-2 grid grid-cols-[minmax(0,1fr)] gap-4 lg:order-1">
            <Conversation call={call} />
          </div>
          <div className="order-1 grid grid-cols-[minmax(0,1fr)] gap-4 lg:order-2">
            <About call={call} />
            {call.analysis && <Analysis call={call} />}
          </div>
        </div>
      )}
    </Page>
  )
}

function About({ call }: { call: Shown }) {
  return (
    <Card title="About">
      <Facts>
        {call.endReason && <Fact name="Ended">{endReason(call.endReason)}</Fact>}
        {call.waitingFor && <Fact name="Waits">{waitReason(call.waitingFor)}</Fact>}
        {call.outcome && <Fact name="Came to">{plain(call.outcome)}</Fact>}
        <Fact name="Length">
          <Length call={call} />
        </Fact>
        {call.answeredBy && <Fact name="Answered by">{plain(call.answeredBy)}</Fact>}
        <Fact name="Agent">
          {call.agent ? (
            <Link href={`/agents/${call.agent.id}`} className="text-accent hover:underline">
              {call.agent.name}
            </Link>
          ) : (
            'Deleted'
          )}
        </Fact>
        {call.contact && <Fact name="Contact">{call.contact.name ?? call.to}</Fact>}
        {call.campaign && (
          <Fact name="Campaign">
            <Link href={`/campaigns/${call.campaign.id}`} className="text-accent hover:underline">
              {call.campaign.name}
            </Link>
          </Fact>
        )}
        <Fact name={call.direction === 'INBOUND' ? 'To' : 'From'}>
          {call.direction === 'INBOUND' ? call.to : call.from}
        </Fact>
        <Fact name="Created">
          <Ago at={call.createdAt} />
        </Fact>
        {call.answeredAt && <Fact name="Answered">{dayAndTime(call.answeredAt)}</Fact>}
        {call.sipCode !== null && <Fact name="SIP code">{call.sipCode}</Fact>}
        <Fact name="Id">
          <code className="font-mono text-[0.86em] break-all">{call.id}</code>
        </Fact>
      </Facts>
    </Card>
  )
}

function Length({ call }: { call: Shown }) {
  const now = useNow()
  if (call.status === 'IN_PROGRESS' && call.answeredAt) return clock((now - Date.parse(call.answeredAt)) / 1000)
  if (call.status === 'IN_PROGRESS') return 'Not answered yet'
  return call.duration === null ? '–' : clock(call.duration)
}

function Analysis({ call }: { call: Shown }) {
  const extracted = Object.entries(call.analysis?.extracted ?? {})
  return (
    <Card title="Analysis">
      <div className="grid gap-3">
        {call.summary && <p className="break-words">{call.summary}</p>}
        {call.sentiment && (
          <div>
            <State value={call.sentiment} />
          </div>
        )}
        {Boolean(call.analysis?.actionItems.length) && (
          <div>
            <h3 className="text-soft mb-1">To do</h3>
            <ul className="list-disc pl-5">
              {call.analysis?.actionItems.map((item) => (
                <li key={item}>{item}</li>
              ))}
            </ul>
          </div>
        )}
        {extracted.length > 0 && (
          <Facts>
            {extracted.map(([name, value]) => (
              <Fact key={name} name={spaced(name)}>
                {said(value)}
              </Fact>
            ))}
          </Facts>
        )}
      </div>
    </Card>
  )
}

/** `appointmentStart` → `Appointment start`. */
function spaced(name: string): string {
  return plain(name.replaceAll(/([a-z])([A-Z])/g, '$1_$2'))
}

function said(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(value) ? dayAndTime(value) : value
}

function Conversation({ call }: { call: Shown }) {
  const audio = useRef<HTMLAudioElement>(null)
  const [at, setAt] = useState<number | null>(null)
  const source = useRecording(call)
  function play(seconds: number) {
    if (!audio.current) return
    audio.current.currentTime = seconds
    void audio.current.play()
  }
  return (
    <>
      {source && (
        <Card title="Recording">
          <audio
            ref={audio}
            controls
            preload="metadata"
            src={source}
            className="w-full"
            onTimeUpdate={(event) => setAt(event.currentTarget.currentTime)}
            onEnded={() => setAt(null)}
          />
        </Card>
      )}
      <Card title="Transcript">
        {call.transcript?.length ? (
          <ol className="grid gap-3" aria-live={call.status === 'IN_PROGRESS' ? 'polite' : 'off'}>
            {call.transcript.map((line) => (
              <Turn
                key={`${line.start} ${line.role}`}
                line={line}
                now={at !== null && at >= line.start && at < line.end}
                {...(source && { onPlay: () => play(line.start) })}
              />
            ))}
          </ol>
        ) : (
          <p className="text-faint">{nothingSaid(call)}</p>
        )}
      </Card>
    </>
  )
}

/**
 * The link of the first answer that had one: every answer signs a new one, which would make the player begin anew. It
 * names the public address; the page plays it from where the page itself came from.
 */
function useRecording(call: Shown): string | null {
  const known = call.recordingUrl !== null
  return useMemo(() => {
    if (!call.recordingUrl) return null
    const url = new URL(call.recordingUrl, location.href)
    return `${url.pathname}${url.search}`
  }, [call.id, known])
}

function nothingSaid(call: Shown): string {
  if (call.status === 'QUEUED') return 'Nothing has been said yet: the call waits to be dialed.'
  if (call.status === 'IN_PROGRESS') return call.answeredAt ? 'Somebody answered.' : 'It rings.'
  return 'Nothing was said.'
}

const SPEAKERS = { AGENT: 'Agent', CALLEE: 'Callee', TOOL: 'Tool' }

function Turn({ line, now, onPlay }: { line: Line; now: boolean; onPlay?: () => void }) {
  const mine = line.role === 'AGENT'
  if (line.role === 'TOOL') {
    return (
      <li className="text-faint border-line rounded-md border border-dashed px-3 py-1.5 font-mono text-[0.86em] break-words">
        {line.text}
      </li>
    )
  }
  return (
    <li className={`grid max-w-[88%] gap-0.5 ${mine ? 'justify-self-start' : 'justify-self-end text-right'}`}>
      <span className="text-faint text-[0.86em]">
        {SPEAKERS[line.role]} ·{' '}
        {onPlay ? (
          <button type="button" className="hover:text-ink hover:underline" title="Play from here" onClick={onPlay}>
            {clock(line.start)}
          </button>
        ) : (
          clock(line.start)
        )}
      </span>
      <span
        className={`rounded-xl px-3 py-1.5 text-left break-words ${mine ? 'bg-sunken rounded-tl-sm' : 'bg-accent-wash rounded-tr-sm'} ${now ? 'ring-accent ring-2' : ''}`}
      >
        {line.text}
      </span>
    </li>
  )
}
