/** One delivery: what was sent, each attempt and its answer, when it is tried next. */
import { useParams } from 'wouter'

import type { ResultOf } from '@/api/graphql'
import { graphql } from '@/api/graphql'
import { useAction, useReading } from '@/api/hooks'
import { Badge, State } from '@/parts/badge'
import { Button } from '@/parts/button'
import { Copy } from '@/parts/copy'
import { Empty, ErrorNote, Loading } from '@/parts/notes'
import { Card, Fact, Facts, Page } from '@/parts/page'
import { Ago, Countdown } from '@/parts/time'
import { errorClass, plain } from '@/words/states'
import { exactly } from '@/words/time'

import { logsOf } from './webhooks'

const DELIVERY = graphql(`
  query Delivery($id: ID!) {
    delivery(id: $id) {
      id
      eventId
      endpointId
      event
      state
      createdAt
      finishedAt
      nextAttemptAt
      body
      endpoint {
        id
        url
      }
      attempts {
        number
        trigger
        startedAt
        durationMs
        statusCode
        errorClass
        error
        responseBody
      }
    }
  }
`)
const RESEND = graphql(`
  mutation Resend($id: ID!) {
    resendDelivery(id: $id) {
      id
      state
    }
  }
`)

type Delivered = NonNullable<ResultOf<typeof DELIVERY>['delivery']>
type Attempt = Delivered['attempts'][number]

export function Delivery() {
  const { id } = useParams<{ id: string }>()
  const reading = useReading(DELIVERY, { id }, { every: 3_000 })
  const resend = useAction(RESEND)
  const delivery = reading.data?.delivery
  const error = reading.error ?? resend.error
  const above = { href: delivery ? logsOf(delivery.endpointId) : '/integrations/webhooks/logs', label: 'Webhook logs' }
  return (
    <Page
      title={delivery?.event ?? 'Delivery'}
      above={above}
      beside={delivery && <State value={delivery.state} />}
      actions={
        delivery && (
          <Button kind="primary" busy={resend.busy} onClick={() => void resend.run({ id }).then(reading.reload)}>
            Send it again
          </Button>
        )
      }
    >
      {error && <ErrorNote>{error}</ErrorNote>}
      {delivery === null && <Empty title="There is no such delivery" />}
      {delivery === undefined && !error && <Loading />}
      {delivery && <Details of={delivery} />}
    </Page>
  )
}

function Details({ of }: { of: Delivered }) {
  return (
    <>
      <Card>
        <Facts>
          <Fact name="Endpoint">
            <span className="break-all">{of.endpoint?.url ?? 'Deleted'}</span>
          </Fact>
          <Fact name="Created">
            <Ago at={of.createdAt} />
          </Fact>
          {of.nextAttemptAt && (
            <Fact name="Next attempt">
              <Countdown to={of.nextAttemptAt} />
            </Fact>
          )}
          {of.finishedAt && (
            <Fact name="Finished">
              <Ago at={of.finishedAt} />
            </Fact>
          )}
          <Fact name="webhook-id">
            <code className="font-mono text-[0.93em]">{of.eventId}</code>
          </Fact>
        </Facts>
      </Card>
      <Card title={of.attempts.length === 1 ? '1 attempt' : `${of.attempts.length} attempts`} padded={false}>
        {of.attempts.length === 0 && <p className="text-faint p-4">It has not been sent yet.</p>}
        <ol>
          {of.attempts.toReversed().map((attempt) => (
            <AttemptRow key={attempt.number} of={attempt} />
          ))}
        </ol>
      </Card>
      <Card title="Body" actions={<Copy text={of.body} />}>
        <pre tabIndex={0} className="max-h-96 overflow-auto font-mono text-[0.86rem] leading-5">
          {pretty(of.body)}
        </pre>
      </Card>
    </>
  )
}

function AttemptRow({ of }: { of: Attempt }) {
  const good = of.statusCode !== null && of.statusCode >= 200 && of.statusCode < 300
  return (
    <li className="border-line grid gap-2 border-b px-4 py-3 last:border-0">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <span className="text-faint w-6">{of.number}</span>
        <Badge tone={good ? 'good' : 'bad'}>
          {of.statusCode ?? (of.errorClass ? errorClass(of.errorClass) : 'No answer')}
        </Badge>
        {of.trigger !== 'AUTOMATIC' && <span className="text-faint">{plain(of.trigger)}</span>}
        <span className="text-soft ml-auto whitespace-nowrap" title={exactly(of.startedAt)}>
          {of.durationMs.toLocaleString('en')} ms · <Ago at={of.startedAt} />
        </span>
      </div>
      {of.error && <p className="text-soft break-words">{of.error}</p>}
      {of.responseBody && (
        <details>
          <summary className="text-soft">The answer</summary>
          <pre
            tabIndex={0}
            className="bg-sunken border-line mt-2 max-h-64 overflow-auto rounded-md border p-2 font-mono text-[0.86rem] whitespace-pre-wrap"
          >
            {of.responseBody}
          </pre>
        </details>
      )}
    </li>
  )
}

/** The body is one line of JSON; it is sent byte for byte as it is, and shown so that it can be read. */
export function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2)
  } catch {
    return body
  }
}
