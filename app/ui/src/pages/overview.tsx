/** Overview: what is running now, and how the latest calls went. */
import { useMemo } from 'react'
import { Link } from 'wouter'

import type { ResultOf } from '@/api/graphql'
import { graphql } from '@/api/graphql'
import { useReading } from '@/api/hooks'
import { State } from '@/parts/badge'
import { ButtonLink } from '@/parts/button'
import { Empty, ErrorNote, Loading, curl } from '@/parts/notes'
import { Card, Page } from '@/parts/page'
import { Table } from '@/parts/table'
import { Ago } from '@/parts/time'
import { plain, toneOf } from '@/words/states'
import { length } from '@/words/time'

import { cameTo } from './calls'

const LATEST = 200

const OVERVIEW = graphql(`
  query Overview($today: DateOrDateTime!) {
    calls(limit: 200) {
      total
      nodes {
        id
        to
        status
        outcome
        endReason
        duration
        createdAt
      }
    }
    today: calls(limit: 1, from: $today) {
      total
    }
    dialer {
      slotsUsed
      slotsTotal
      callsQueued
      callsWaiting
    }
    campaigns(limit: 5, status: ACTIVE) {
      total
      nodes {
        id
        name
        callsTotal
        callsCompleted
      }
    }
  }
`)

type Latest = ResultOf<typeof OVERVIEW>['calls']['nodes'][number]

export function Overview() {
  const today = useMemo(() => new Date(new Date().setHours(0, 0, 0, 0)).toISOString(), [])
  const overview = useReading(OVERVIEW, { today }, { every: 10_000, types: ['Call', 'Campaign'] })
  const { data } = overview
  return (
    <Page
      title="Overview"
      actions={
        <ButtonLink kind="primary" href="/calls?place=1">
          Place a call
        </ButtonLink>
      }
    >
      {overview.error && <ErrorNote>{overview.error}</ErrorNote>}
      {!data && !overview.error && <Loading />}
      {data?.calls.total === 0 && (
        <Card>
          <Empty title="No calls yet" curl={curl('/calls')}>
            Place one; in the sandbox it costs nothing, and +1 555 555 0100 books an appointment. Or see the workspace’s
            agents, and give a program a key.
          </Empty>
        </Card>
      )}
      {data && data.calls.total > 0 && <Figures data={data} />}
    </Page>
  )
}

function Figures({ data }: { data: ResultOf<typeof OVERVIEW> }) {
  const { dialer, campaigns, calls } = data
  const latest = calls.nodes
  const over = latest.filter((call) => call.status === 'COMPLETED' || call.status === 'FAILED')
  const talked = latest.reduce((sum, call) => sum + (call.duration ?? 0), 0)
  const connected = over.filter((call) => call.status === 'COMPLETED').length
  const of = calls.total > LATEST ? `of the latest ${LATEST} calls` : 'of all calls'
  return (
    <>
      <dl className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Figure
          name="Calls today"
          value={data.today.total.toLocaleString('en')}
          beside={`${calls.total.toLocaleString('en')} in all`}
        />
        <Figure
          name="Under way"
          value={`${dialer.slotsUsed}`}
          beside={`of ${dialer.slotsTotal.toLocaleString('en')}; ${dialer.callsQueued + dialer.callsWaiting} wait`}
        />
        <Figure
          name="Connected"
          value={over.length ? `${Math.round((connected / over.length) * 100)} %` : '–'}
          beside={of}
        />
        <Figure name="Talk time" value={length(talked)} beside={of} />
      </dl>
      <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-4 lg:grid-cols-2">
        <Card title="Outcomes">
          <Outcomes of={over} />
        </Card>
        <Card title="Campaigns at work" actions={<More href="/campaigns">All campaigns</More>}>
          {campaigns.nodes.length === 0 && <p className="text-faint">None is active.</p>}
          <ul className="grid gap-3">
            {campaigns.nodes.map((campaign) => (
              <li key={campaign.id} className="grid gap-1">
                <div className="flex justify-between gap-3">
                  <Link href={`/campaigns/${campaign.id}`} className="min-w-0 truncate font-medium hover:underline">
                    {campaign.name}
                  </Link>
                  <span className="text-soft whitespace-nowrap">
                    {campaign.callsCompleted.toLocaleString('en')} of {campaign.callsTotal.toLocaleString('en')}
                  </span>
                </div>
                <Bar part={campaign.callsCompleted} of={campaign.callsTotal} label={campaign.name} />
              </li>
            ))}
          </ul>
        </Card>
      </div>
      <Card title="Latest calls" actions={<More href="/calls">All calls</More>} padded={false}>
        <Table
          label="Latest calls"
          rows={latest.slice(0, 8)}
          href={(call) => `/calls/${call.id}`}
          empty={null}
          columns={[
            { name: 'Number', cell: (call) => call.to },
            { name: 'Status', cell: (call) => <State value={call.status} /> },
            { name: 'Came to', cell: cameTo, from: 'sm' },
            { name: 'Created', cell: (call) => <Ago at={call.createdAt} />, right: true },
          ]}
        />
      </Card>
    </>
  )
}

function Figure({ name, value, beside }: { name: string; value: string; beside: string }) {
  return (
    <div className="bg-card border-line rounded-lg border px-4 py-3">
      <dt className="text-soft">{name}</dt>
      <dd className="text-[1.6rem] leading-9 font-semibold tracking-tight">{value}</dd>
      <dd className="text-faint text-[0.93em]">{beside}</dd>
    </div>
  )
}

function More({ href, children }: { href: string; children: string }) {
  return (
    <Link href={href} className="text-accent hover:underline">
      {children}
    </Link>
  )
}

const COLOURS = { good: 'bg-accent', bad: 'bg-danger', warn: 'bg-warn', busy: 'bg-info', quiet: 'bg-edge' }

function Outcomes({ of }: { of: Latest[] }) {
  const counts = new Map<string, number>()
  for (const call of of) {
    const outcome = call.outcome ?? 'NOT_REACHED'
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  }
  const sorted = [...counts].sort((one, other) => other[1] - one[1])
  if (!sorted.length) return <p className="text-faint">No call is over yet.</p>
  return (
    <ul className="grid gap-2">
      {sorted.map(([outcome, count]) => (
        <li key={outcome} className="grid grid-cols-[11rem_minmax(0,1fr)_2.5rem] items-center gap-3">
          <span className="truncate">{plain(outcome)}</span>
          <Bar part={count} of={sorted[0]?.[1] ?? 1} label={plain(outcome)} colour={COLOURS[toneOf(outcome)]} />
          <span className="text-soft text-right">{count}</span>
        </li>
      ))}
    </ul>
  )
}

/** How much of a whole: a bar that is drawn, for what its neighbour says in figures. */
export function Bar({
  part,
  of,
  label,
  colour = 'bg-accent',
}: {
  part: number
  of: number
  label: string
  colour?: string
}) {
  const share = of ? Math.min(100, (part / of) * 100) : 0
  return (
    <div role="img" aria-label={`${label}: ${part} of ${of}`} className="bg-sunken h-2 overflow-hidden rounded-full">
      <div className={`h-full rounded-full ${colour}`} style={{ width: `${share}%` }} />
    </div>
  )
}
