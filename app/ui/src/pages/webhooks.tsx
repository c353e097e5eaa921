/** Integrations → Webhooks: where this workspace's events are sent. */
import { useState } from 'react'
import { Link } from 'wouter'

import type { ResultOf } from '@/api/graphql'
import { graphql } from '@/api/graphql'
import { useAction, useReading } from '@/api/hooks'
import { Badge } from '@/parts/badge'
import { Button } from '@/parts/button'
import { Menu } from '@/parts/menu'
import { Empty, ErrorNote, curlJson } from '@/parts/notes'
import { Card, Page } from '@/parts/page'
import { useFilters } from '@/parts/query'
import { Table } from '@/parts/table'
import { Ago } from '@/parts/time'
import { EVENTS } from '@/words/states'

import { DeleteEndpoint, EditEndpoint, RotateSecret, SecretShown, TestEndpoint, UPDATE } from './webhook-dialogs'

const ENDPOINTS = graphql(`
  query Endpoints {
    webhookEndpoints(limit: 100) {
      total
      nodes {
        id
        url
        description
        events
        isActive
        failingSince
        disabledAt
        disabledReason
        createdAt
      }
    }
  }
`)
type Endpoint = ResultOf<typeof ENDPOINTS>['webhookEndpoints']['nodes'][number]
type Doing =
  | { what: 'edit' | 'rotate' | 'test' | 'delete'; endpoint: Endpoint }
  | { what: 'show'; url: string; secret: string; until: string | null }

export function logsOf(endpoint: string): string {
  return `/integrations/webhooks/logs?endpoint=${endpoint}`
}

export function Webhooks() {
  const [filter, setFilter] = useFilters()
  const endpoints = useReading(
    ENDPOINTS,
    {},
    { types: ['WebhookEndpoint', 'WebhookEndpointWithSecret'], every: 15_000 },
  )
  const [doing, setDoing] = useState<Doing | null>(null)
  const pause = useAction(UPDATE)
  const error = endpoints.error ?? pause.error
  const close = () => setDoing(null)
  return (
    <Page
      title="Webhooks"
      actions={
        <Button kind="primary" onClick={() => setFilter({ add: '1' })}>
          Add an endpoint
        </Button>
      }
    >
      {error && <ErrorNote>{error}</ErrorNote>}
      {!(endpoints.error && !endpoints.data) && (
        <Card padded={false}>
          <Table
            label="Endpoints"
            rows={endpoints.data?.webhookEndpoints.nodes}
            href={(row) => logsOf(row.id)}
            empty={
              <Empty title="No endpoints yet" curl={curlJson('/webhooks', { url: 'https://example.com/webhook' })}>
                An endpoint is an address of yours that is told what happens to calls, signed, as it happens.
              </Empty>
            }
            columns={[
              {
                name: 'Endpoint',
                cell: (row) => (
                  <span className="break-all">
                    {row.url}
                    {row.description && (
                      <span className="text-faint block font-normal break-words">{row.description}</span>
                    )}
                  </span>
                ),
              },
              { name: 'Events', cell: (row) => <EventNames of={row.events} />, from: 'lg' },
              { name: 'State', cell: (row) => <EndpointState of={row} /> },
              { name: 'Added', cell: (row) => <Ago at={row.createdAt} />, from: 'md' },
              {
                name: '',
                right: true,
                cell: (row) => (
                  <Menu
                    label={`Actions for ${row.url}`}
                    choices={[
                      { label: 'Send a test event …', onSelect: () => setDoing({ what: 'test', endpoint: row }) },
                      { label: 'Change …', onSelect: () => setDoing({ what: 'edit', endpoint: row }) },
                      {
                        label: row.isActive ? 'Pause' : 'Resume',
                        onSelect: () =>
                          void pause.run({ id: row.id, input: { isActive: !row.isActive } }).then(endpoints.reload),
                      },
                      { label: 'Rotate the secret …', onSelect: () => setDoing({ what: 'rotate', endpoint: row }) },
                      { label: 'Delete …', onSelect: () => setDoing({ what: 'delete', endpoint: row }), danger: true },
                    ]}
                  />
                ),
              },
            ]}
          />
        </Card>
      )}
      <p className="text-soft">
        What was sent, and what came back, is in the{' '}
        <Link href="/integrations/webhooks/logs" className="text-accent underline">
          logs
        </Link>
        .
      </p>
      {filter('add') && (
        <EditEndpoint
          onClose={() => setFilter({ add: '' })}
          onAdded={(url, secret) => {
            setFilter({ add: '' })
            setDoing({ what: 'show', url, secret, until: null })
          }}
        />
      )}
      {doing?.what === 'edit' && <EditEndpoint of={doing.endpoint} onClose={close} onAdded={close} />}
      {doing?.what === 'rotate' && (
        <RotateSecret
          of={doing.endpoint}
          onClose={close}
          onRotated={(secret, until) => setDoing({ what: 'show', url: doing.endpoint.url, secret, until })}
        />
      )}
      {doing?.what === 'test' && <TestEndpoint of={doing.endpoint} onClose={close} />}
      {doing?.what === 'delete' && <DeleteEndpoint of={doing.endpoint} onClose={close} />}
      {doing?.what === 'show' && <SecretShown {...doing} onClose={close} />}
    </Page>
  )
}

export function EndpointState({
  of,
}: {
  of: Pick<Endpoint, 'isActive' | 'failingSince' | 'disabledAt' | 'disabledReason'>
}) {
  if (of.disabledAt) {
    return (
      <span title={of.disabledReason ?? ''}>
        <Badge tone="bad">Switched off</Badge>
      </span>
    )
  }
  if (!of.isActive) return <Badge tone="warn">Paused</Badge>
  if (!of.failingSince) return <Badge tone="good">Active</Badge>
  return (
    <span className="inline-flex flex-wrap items-center gap-x-2">
      <Badge tone="bad">Failing</Badge>
      <span className="text-faint text-[0.93em]">
        since <Ago at={of.failingSince} />
      </span>
    </span>
  )
}

function EventNames({ of }: { of: readonly string[] }) {
  return of.length === Object.keys(EVENTS).length ? (
    'All'
  ) : (
    <span className="font-mono text-[0.86em]">{of.join(', ')}</span>
  )
}
