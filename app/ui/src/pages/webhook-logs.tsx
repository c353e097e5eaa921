/** Integrations → Webhooks → Logs: every delivery of an endpoint. */
import { useEffect, useState } from 'react'

import type { ResultOf } from '@/api/graphql'
import { graphql } from '@/api/graphql'
import { useAction, useReading } from '@/api/hooks'
import { State } from '@/parts/badge'
import { Button, ButtonLink } from '@/parts/button'
import { DayFilter, Filter, Input } from '@/parts/field'
import { FormModal } from '@/parts/modal'
import { Empty, ErrorNote, Note, curl } from '@/parts/notes'
import { Card, Page, Toolbar } from '@/parts/page'
import { useFilters } from '@/parts/query'
import { Paging, Table } from '@/parts/table'
import { Ago, Countdown } from '@/parts/time'
import { EVENTS, errorClass, plain } from '@/words/states'
import { boundOfDay, forInput } from '@/words/time'

import { EndpointState } from './webhooks'

const LIMIT = 50
const STATES = ['PENDING', 'DELIVERED', 'FAILED', 'CANCELLED'] as const

const ENDPOINTS = graphql(`
  query LoggedEndpoints {
    webhookEndpoints(limit: 100) {
      nodes {
        id
        url
        isActive
        failingSince
        disabledAt
        disabledReason
      }
    }
  }
`)
const DELIVERIES = graphql(`
  query Deliveries(
    $id: ID!
    $state: DeliveryState
    $event: EventType
    $from: DateOrDateTime
    $to: DateOrDateTime
    $limit: Int!
    $offset: Int
  ) {
    deliveries(id: $id, state: $state, event: $event, from: $from, to: $to, limit: $limit, offset: $offset) {
      total
      nodes {
        id
        event
        state
        attemptsMade
        createdAt
        nextAttemptAt
        attempts {
          number
          statusCode
          errorClass
          durationMs
        }
      }
    }
  }
`)
const RECOVER = graphql(`
  mutation Recover($id: ID!, $input: RecoverDeliveriesInput!) {
    recoverDeliveries(id: $id, input: $input) {
      recovered
    }
  }
`)

type Delivery = ResultOf<typeof DELIVERIES>['deliveries']['nodes'][number]

export function WebhookLogs() {
  const [filter, setFilter] = useFilters()
  const [recovering, setRecovering] = useState(false)
  const endpoints = useReading(ENDPOINTS, {}, { types: ['WebhookEndpoint', 'WebhookEndpointWithSecret'] })
  const all = endpoints.data?.webhookEndpoints.nodes
  const first = all?.[0]?.id
  const id = filter('endpoint') || first || ''
  const endpoint = all?.find((each) => each.id === id)
  useEffect(() => {
    if (!filter('endpoint') && first) setFilter({ endpoint: first })
  })
  const offset = Number(filter('offset')) || 0
  const deliveries = useReading(
    DELIVERIES,
    {
      id,
      state: STATES.find((state) => state === filter('state')) ?? null,
      event: filter('event') || null,
      from: boundOfDay(filter('from'), false),
      to: boundOfDay(filter('to'), true),
      limit: LIMIT,
      offset,
    },
    { pause: !id, every: 3_000, types: ['Delivery'] },
  )
  const error = endpoints.error ?? deliveries.error
  const narrowed = ['state', 'event', 'from', 'to'].some((name) => filter(name))
  return (
    <Page
      title="Webhook logs"
      above={{ href: '/integrations/webhooks', label: 'Webhooks' }}
      beside={endpoint && <EndpointState of={endpoint} />}
      actions={
        <Button disabled={!id} onClick={() => setRecovering(true)}>
          Recover since …
        </Button>
      }
    >
      {all?.length === 0 ? (
        <Card>
          <Empty title="No endpoints yet">
            <p className="mb-3">Nothing is sent before there is an endpoint to send it to.</p>
            <ButtonLink kind="primary" href="/integrations/webhooks?add=1">
              Add an endpoint
            </ButtonLink>
          </Empty>
        </Card>
      ) : (
        <>
          <Toolbar>
            <div className="col-span-2 sm:contents">
              <Filter label="Endpoint" value={id} onChange={(event) => setFilter({ endpoint: event.target.value })}>
                {all?.map((each) => (
                  <option key={each.id} value={each.id}>
                    {each.url}
                  </option>
                ))}
              </Filter>
            </div>
            <Filter
              label="State"
              value={filter('state')}
              onChange={(event) => setFilter({ state: event.target.value })}
            >
              <option value="">Any state</option>
              {STATES.map((state) => (
                <option key={state} value={state}>
                  {plain(state)}
                </option>
              ))}
            </Filter>
            <Filter
              label="Event"
              value={filter('event')}
              onChange={(event) => setFilter({ event: event.target.value })}
            >
              <option value="">Any event</option>
              {Object.keys(EVENTS).map((event) => (
                <option key={event}>{event}</option>
              ))}
            </Filter>
            <DayFilter
              label="From"
              value={filter('from')}
              onChange={(event) => setFilter({ from: event.target.value })}
            />
            <DayFilter label="to" value={filter('to')} onChange={(event) => setFilter({ to: event.target.value })} />
          </Toolbar>
          {error && <ErrorNote>{error}</ErrorNote>}
          {!(error && !deliveries.data) && (
            <Card padded={false}>
              <Table
                label="Deliveries"
                rows={deliveries.data?.deliveries.nodes}
                href={(row) => `/integrations/webhooks/logs/${row.id}`}
                empty={
                  narrowed ? (
                    <Empty title="No deliveries like that" />
                  ) : (
                    <Empty title="Nothing has been sent yet" curl={curl(`/webhooks/${id}/deliveries`)}>
                      Place a call, or send a test event.
                    </Empty>
                  )
                }
                columns={[
                  { name: 'Event', cell: (row) => row.event },
                  { name: 'State', cell: (row) => <State value={row.state} /> },
                  { name: 'Last answer', cell: (row) => <LastAnswer of={row} />, from: 'sm' },
                  { name: 'Attempts', cell: (row) => row.attemptsMade, right: true, from: 'md' },
                  {
                    name: 'Next',
                    cell: (row) => (row.nextAttemptAt ? <Countdown to={row.nextAttemptAt} /> : '–'),
                    from: 'sm',
                  },
                  { name: 'Created', cell: (row) => <Ago at={row.createdAt} />, right: true },
                ]}
              />
            </Card>
          )}
          <Paging
            total={deliveries.data?.deliveries.total}
            limit={LIMIT}
            offset={offset}
            onMove={(next) => setFilter({ offset: String(next) })}
          />
        </>
      )}
      {recovering && <Recover id={id} onClose={() => setRecovering(false)} onDone={deliveries.reload} />}
    </Page>
  )
}

function LastAnswer({ of }: { of: Delivery }) {
  const last = of.attempts.at(-1)
  if (!last) return '–'
  return (
    <>
      {last.statusCode ?? (last.errorClass ? errorClass(last.errorClass) : 'No answer')}{' '}
      <span className="text-faint">{last.durationMs.toLocaleString('en')} ms</span>
    </>
  )
}

function Recover({ id, onClose, onDone }: { id: string; onClose: () => void; onDone: () => void }) {
  const [since, setSince] = useState(() => forInput(new Date(Date.now() - 86_400_000)))
  const [recovered, setRecovered] = useState<number>()
  const recover = useAction(RECOVER)
  async function submit() {
    const done = await recover.run({ id, input: { since: new Date(since).toISOString() } })
    if (done) {
      setRecovered(done.recoverDeliveries.recovered)
      onDone()
    }
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title="Recover what was missed"
      submit="Send what was missed"
      onSubmit={() => void submit()}
      {...recover}
    >
      <p>
        Deliveries that failed or were cancelled begin anew, and events that this endpoint was never sent get a
        delivery. What arrived is left alone.
      </p>
      <Input
        label="Since"
        type="datetime-local"
        required
        value={since}
        onChange={(event) => setSince(event.target.value)}
      />
      {recovered !== undefined && (
        <Note>
          {recovered === 0 ? 'Nothing was missed since then.' : `${recovered.toLocaleString('en')} on their way.`}
        </Note>
      )}
    </FormModal>
  )
}
