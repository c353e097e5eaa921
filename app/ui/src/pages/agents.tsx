/** Agents: the voices that talk, and what each is told. */
import { useState } from 'react'
import { useLocation, useParams } from 'wouter'

import { graphql } from '@/api/graphql'
import { useAction, useReading } from '@/api/hooks'
import { Badge } from '@/parts/badge'
import { Button, ButtonLink } from '@/parts/button'
import { FormModal } from '@/parts/modal'
import { Empty, ErrorNote, Loading, Note, curlJson } from '@/parts/notes'
import { Card, Page } from '@/parts/page'
import { useFilters } from '@/parts/query'
import { Paging, Table } from '@/parts/table'
import { Ago } from '@/parts/time'

import type { Values } from './agent-form'
import { AgentForm, NEW_AGENT, inputOf } from './agent-form'

const LIMIT = 50

const AGENTS = graphql(`
  query Agents($limit: Int!, $offset: Int) {
    agents(limit: $limit, offset: $offset) {
      total
      nodes {
        id
        name
        isActive
        voice
        language
        firstMessage
        createdAt
      }
    }
  }
`)
const AGENT = graphql(`
  query Agent($id: ID!) {
    agent(id: $id) {
      id
      name
      isActive
      voice
      firstMessage
      systemPrompt
      language
      maxCallDuration
      voicemailMessage
      tools
      updatedAt
    }
  }
`)
const CREATE = graphql(`
  mutation CreateAgent($input: CreateAgentInput!) {
    createAgent(input: $input) {
      id
    }
  }
`)
const UPDATE = graphql(`
  mutation UpdateAgent($id: ID!, $input: UpdateAgentInput!) {
    updateAgent(id: $id, input: $input) {
      id
      name
      isActive
    }
  }
`)
const DELETE = graphql(`
  mutation DeleteAgent($id: ID!) {
    deleteAgent(id: $id)
  }
`)

export function Agents() {
  const [filter, setFilter] = useFilters()
  const offset = Number(filter('offset')) || 0
  const agents = useReading(AGENTS, { limit: LIMIT, offset }, { types: ['Agent'] })
  return (
    <Page
      title="Agents"
      actions={
        <ButtonLink kind="primary" href="/agents/new">
          Make an agent
        </ButtonLink>
      }
    >
      {agents.error && <ErrorNote>{agents.error}</ErrorNote>}
      {!(agents.error && !agents.data) && (
        <Card padded={false}>
          <Table
            label="Agents"
            rows={agents.data?.agents.nodes}
            href={(row) => `/agents/${row.id}`}
            dimmed={(row) => !row.isActive}
            empty={
              <Empty
                title="No agents yet"
                curl={curlJson('/agents', { name: 'Support', systemPrompt: 'You are a helpful support agent.' })}
              >
                An agent is a voice and what it is told to do.
              </Empty>
            }
            columns={[
              { name: 'Name', cell: (row) => row.name },
              {
                name: 'State',
                cell: (row) => (row.isActive ? <Badge tone="good">Active</Badge> : <Badge tone="quiet">Off</Badge>),
              },
              {
                name: 'Begins with',
                cell: (row) => <span className="line-clamp-1">{row.firstMessage ?? '–'}</span>,
                from: 'lg',
              },
              { name: 'Voice', cell: (row) => `${row.voice}, ${row.language}`, from: 'sm' },
              { name: 'Made', cell: (row) => <Ago at={row.createdAt} />, right: true, from: 'sm' },
            ]}
          />
        </Card>
      )}
      <Paging
        total={agents.data?.agents.total}
        limit={LIMIT}
        offset={offset}
        onMove={(next) => setFilter({ offset: String(next) })}
      />
    </Page>
  )
}

export function NewAgent() {
  const [, navigate] = useLocation()
  const create = useAction(CREATE)
  async function submit(values: Values) {
    const made = await create.run({ input: inputOf(values) })
    if (made) navigate(`/agents/${made.createAgent.id}`)
  }
  return (
    <Page title="Make an agent" above={{ href: '/agents', label: 'Agents' }}>
      <AgentForm values={NEW_AGENT} submit="Make the agent" onSubmit={submit} busy={create.busy} error={create.error} />
    </Page>
  )
}

export function Agent() {
  const { id } = useParams<{ id: string }>()
  const [, navigate] = useLocation()
  const [deleting, setDeleting] = useState(false)
  const [saved, setSaved] = useState(false)
  const reading = useReading(AGENT, { id })
  const update = useAction(UPDATE)
  const remove = useAction(DELETE)
  const agent = reading.data?.agent
  async function submit(values: Values) {
    setSaved(false)
    if (await update.run({ id, input: inputOf(values) })) setSaved(true)
  }
  async function confirm() {
    if (await remove.run({ id })) navigate('/agents')
  }
  return (
    <Page
      title={agent?.name ?? 'Agent'}
      above={{ href: '/agents', label: 'Agents' }}
      beside={agent && !agent.isActive && <Badge tone="quiet">Off</Badge>}
      actions={agent && <Button onClick={() => setDeleting(true)}>Delete …</Button>}
    >
      {reading.error && <ErrorNote>{reading.error}</ErrorNote>}
      {agent === null && <Empty title="There is no such agent" />}
      {agent === undefined && !reading.error && <Loading />}
      {agent && (
        <AgentForm
          key={agent.id}
          values={agent}
          submit="Save"
          onSubmit={submit}
          busy={update.busy}
          error={update.error}
        >
          {saved && <Note>Saved. Calls from now on go by this.</Note>}
        </AgentForm>
      )}
      {deleting && (
        <FormModal
          open
          onClose={() => setDeleting(false)}
          title={`Delete ${agent?.name ?? 'the agent'}`}
          submit="Delete the agent"
          danger
          onSubmit={() => void confirm()}
          {...remove}
        >
          <p>
            Its past calls stay readable. While a campaign that is not over uses it, it cannot be deleted; to stop it
            for a while, switch it off.
          </p>
        </FormModal>
      )}
    </Page>
  )
}
