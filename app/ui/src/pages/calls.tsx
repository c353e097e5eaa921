/** Calls: all of them, newest first, narrowed as the API narrows them. */
import { useState } from 'react'
import { useLocation } from 'wouter'

import { graphql } from '@/api/graphql'
import { useAction, useReading } from '@/api/hooks'
import { State } from '@/parts/badge'
import { Button } from '@/parts/button'
import { DayFilter, Filter, Input, Select } from '@/parts/field'
import { FormModal } from '@/parts/modal'
import { Empty, ErrorNote, curl } from '@/parts/notes'
import { Card, Page, Toolbar } from '@/parts/page'
import { useFilters } from '@/parts/query'
import { Paging, Table } from '@/parts/table'
import { Ago } from '@/parts/time'
import { endReason, plain, waitReason } from '@/words/states'
import { boundOfDay, clock } from '@/words/time'

import { AgentOptions, NumberOptions, useAgents, useCampaigns } from './pickers'

const LIMIT = 50
const STATUSES = ['QUEUED', 'IN_PROGRESS', 'COMPLETED', 'FAILED'] as const

const CALLS = graphql(`
  query Calls(
    $limit: Int!
    $offset: Int
    $status: CallStatus
    $agentId: ID
    $campaignId: ID
    $contactId: ID
    $from: DateOrDateTime
    $to: DateOrDateTime
  ) {
    calls(
      limit: $limit
      offset: $offset
      status: $status
      agentId: $agentId
      campaignId: $campaignId
      contactId: $contactId
      from: $from
      to: $to
    ) {
      total
      nodes {
        id
        to
        direction
        status
        outcome
        endReason
        waitingFor
        duration
        createdAt
        agent {
          id
          name
        }
        contact {
          id
          name
        }
      }
    }
  }
`)
const PLACE = graphql(`
  mutation PlaceCall($input: CreateCallInput!) {
    createCall(input: $input) {
      id
    }
  }
`)

export function Calls() {
  const [filter, setFilter] = useFilters()
  const [agents, campaigns] = [useAgents(), useCampaigns()]
  const offset = Number(filter('offset')) || 0
  const calls = useReading(
    CALLS,
    {
      limit: LIMIT,
      offset,
      status: STATUSES.find((status) => status === filter('status')) ?? null,
      agentId: filter('agent') || null,
      campaignId: filter('campaign') || null,
      contactId: filter('contact') || null,
      from: boundOfDay(filter('from'), false),
      to: boundOfDay(filter('to'), true),
    },
    { every: 3_000, types: ['Call'] },
  )
  const narrowed = ['status', 'agent', 'campaign', 'contact', 'from', 'to'].some((name) => filter(name))
  return (
    <Page
      title="Calls"
      actions={
        <Button kind="primary" onClick={() => setFilter({ place: '1' })}>
          Place a call
        </Button>
      }
    >
      <Toolbar>
        <Filter label="Status" value={filter('status')} onChange={(event) => setFilter({ status: event.target.value })}>
          <option value="">Any status</option>
          {STATUSES.map((status) => (
            <option key={status} value={status}>
              {plain(status)}
            </option>
          ))}
        </Filter>
        <Filter label="Agent" value={filter('agent')} onChange={(event) => setFilter({ agent: event.target.value })}>
          <option value="">Any agent</option>
          {agents.map((agent) => (
            <option key={agent.id} value={agent.id}>
              {agent.name}
            </option>
          ))}
        </Filter>
        <Filter
          label="Campaign"
          value={filter('campaign')}
          onChange={(event) => setFilter({ campaign: event.target.value })}
        >
          <option value="">Any campaign, or none</option>
          {campaigns.map((campaign) => (
            <option key={campaign.id} value={campaign.id}>
              {campaign.name}
            </option>
          ))}
        </Filter>
        {narrowed ? (
          <Button
            kind="ghost"
            onClick={() => setFilter({ status: '', agent: '', campaign: '', contact: '', from: '', to: '' })}
          >
            All calls
          </Button>
        ) : (
          <span className="sm:hidden" />
        )}
        <DayFilter label="From" value={filter('from')} onChange={(event) => setFilter({ from: event.target.value })} />
        <DayFilter label="to" value={filter('to')} onChange={(event) => setFilter({ to: event.target.value })} />
      </Toolbar>
      {calls.error && <ErrorNote>{calls.error}</ErrorNote>}
      {!(calls.error && !calls.data) && (
        <Card padded={false}>
          <Table
            label="Calls"
            rows={calls.data?.calls.nodes}
            href={(row) => `/calls/${row.id}`}
            empty={
              narrowed ? (
                <Empty title="No calls like that" />
              ) : (
                <Empty title="No calls yet" curl={curl('/calls')}>
                  Place one; in the sandbox it costs nothing, and +1 555 555 0100 books an appointment.
                </Empty>
              )
            }
            columns={[
              {
                name: 'Number',
                cell: (row) => (
                  <>
                    {row.to}
                    {row.contact?.name && <span className="text-faint block font-normal">{row.contact.name}</span>}
                  </>
                ),
              },
              {
                name: 'Status',
                cell: (row) => (
                  <>
                    <State value={row.status} />
                    <span className="text-faint block sm:hidden">{cameTo(row)}</span>
                  </>
                ),
              },
              {
                name: 'Came to',
                cell: cameTo,
                from: 'sm',
              },
              { name: 'Agent', cell: (row) => row.agent?.name ?? 'Deleted', from: 'md' },
              {
                name: 'Length',
                cell: (row) => (row.duration === null ? '–' : clock(row.duration)),
                right: true,
                from: 'sm',
              },
              { name: 'Created', cell: (row) => <Ago at={row.createdAt} />, right: true },
            ]}
          />
        </Card>
      )}
      <Paging
        total={calls.data?.calls.total}
        limit={LIMIT}
        offset={offset}
        onMove={(next) => setFilter({ offset: String(next) })}
      />
      {filter('place') && <Place to={filter('number')} onClose={() => setFilter({ place: '', number: '' })} />}
    </Page>
  )
}

/** Why it failed, or how it went, or what it waits for. */
export function cameTo(call: {
  status: string
  endReason: string | null
  outcome: string | null
  waitingFor?: string | null
}): string {
  if (call.endReason && call.status === 'FAILED') return endReason(call.endReason)
  if (call.outcome) return plain(call.outcome)
  return call.waitingFor ? waitReason(call.waitingFor) : '–'
}

function Place({ to: given, onClose }: { to: string; onClose: () => void }) {
  const [, navigate] = useLocation()
  const [agentId, setAgent] = useState('')
  const [phoneNumberId, setNumber] = useState('')
  const [to, setTo] = useState(given)
  const place = useAction(PLACE)
  async function submit() {
    const placed = await place.run({ input: { agentId, phoneNumberId, to } })
    if (placed) navigate(`/calls/${placed.createCall.id}`)
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title="Place a call"
      submit="Place the call"
      onSubmit={() => void submit()}
      {...place}
    >
      <Input
        label="To"
        type="tel"
        required
        autoFocus
        placeholder="+15555550100"
        value={to}
        onChange={(event) => setTo(event.target.value)}
        hint="With + and the country code."
      />
      <Select label="Agent" required value={agentId} onChange={(event) => setAgent(event.target.value)}>
        <option value="">Choose …</option>
        <AgentOptions />
      </Select>
      <Select label="From" required value={phoneNumberId} onChange={(event) => setNumber(event.target.value)}>
        <option value="">Choose …</option>
        <NumberOptions />
      </Select>
    </FormModal>
  )
}
