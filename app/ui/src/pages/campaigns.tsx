/** Campaigns: lists of contacts that are called, how far each has got. */
import { graphql } from '@/api/graphql'
import { useReading } from '@/api/hooks'
import { State } from '@/parts/badge'
import { ButtonLink } from '@/parts/button'
import { Filter } from '@/parts/field'
import { Empty, ErrorNote, curl } from '@/parts/notes'
import { Card, Page, Toolbar } from '@/parts/page'
import { useFilters } from '@/parts/query'
import { Paging, Table } from '@/parts/table'
import { Ago } from '@/parts/time'
import { plain } from '@/words/states'

import { Bar } from './overview'

const LIMIT = 50
const STATUSES = ['ACTIVE', 'PAUSED', 'COMPLETED', 'CANCELLED'] as const

const CAMPAIGNS = graphql(`
  query Campaigns($limit: Int!, $offset: Int, $status: CampaignStatus) {
    campaigns(limit: $limit, offset: $offset, status: $status) {
      total
      nodes {
        id
        name
        status
        callsTotal
        callsCompleted
        createdAt
        agent {
          id
          name
        }
      }
    }
  }
`)

export function Campaigns() {
  const [filter, setFilter] = useFilters()
  const offset = Number(filter('offset')) || 0
  const status = STATUSES.find((each) => each === filter('status')) ?? null
  const campaigns = useReading(CAMPAIGNS, { limit: LIMIT, offset, status }, { types: ['Campaign'], every: 3_000 })
  return (
    <Page
      title="Campaigns"
      actions={
        <ButtonLink kind="primary" href="/campaigns/new">
          Make a campaign
        </ButtonLink>
      }
    >
      <Toolbar>
        <Filter label="Status" value={filter('status')} onChange={(event) => setFilter({ status: event.target.value })}>
          <option value="">Any status</option>
          {STATUSES.map((each) => (
            <option key={each} value={each}>
              {plain(each)}
            </option>
          ))}
        </Filter>
      </Toolbar>
      {campaigns.error && <ErrorNote>{campaigns.error}</ErrorNote>}
      {!(campaigns.error && !campaigns.data) && (
        <Card padded={false}>
          <Table
            label="Campaigns"
            rows={campaigns.data?.campaigns.nodes}
            href={(row) => `/campaigns/${row.id}`}
            empty={
              status ? (
                <Empty title="No campaigns like that" />
              ) : (
                <Empty title="No campaigns yet" curl={curl('/campaigns')}>
                  A campaign calls a list of contacts, so many at the same time, inside its hours.
                </Empty>
              )
            }
            columns={[
              { name: 'Name', cell: (row) => <span className="break-words">{row.name}</span> },
              { name: 'Status', cell: (row) => <State value={row.status} /> },
              {
                name: 'Progress',
                cell: (row) => (
                  <div className="grid max-w-48 gap-1.5">
                    <span className="whitespace-nowrap">
                      {row.callsCompleted.toLocaleString('en')}{' '}
                      <span className="text-faint">of {row.callsTotal.toLocaleString('en')}</span>
                    </span>
                    <Bar part={row.callsCompleted} of={row.callsTotal} label={row.name} />
                  </div>
                ),
              },
              { name: 'Agent', cell: (row) => row.agent?.name ?? 'Deleted', from: 'md' },
              { name: 'Made', cell: (row) => <Ago at={row.createdAt} />, right: true, from: 'sm' },
            ]}
          />
        </Card>
      )}
      <Paging
        total={campaigns.data?.campaigns.total}
        limit={LIMIT}
        offset={offset}
        onMove={(next) => setFilter({ offset: String(next) })}
      />
    </Page>
  )
}
