/** One campaign: its numbers as they move, its contacts, and pause, resume, cancel. */
import { useState } from 'react'
import { Link, useParams } from 'wouter'

import type { ResultOf } from '@/api/graphql'
import { graphql } from '@/api/graphql'
import { useAction, useReading } from '@/api/hooks'
import { State } from '@/parts/badge'
import { Button } from '@/parts/button'
import { FormModal } from '@/parts/modal'
import { Empty, ErrorNote, Loading, Note, curl } from '@/parts/notes'
import { Card, Fact, Facts, Page } from '@/parts/page'
import { useFilters } from '@/parts/query'
import { Paging, Table } from '@/parts/table'
import { Ago, Countdown } from '@/parts/time'
import { endReason, plain, waitReason } from '@/words/states'
import { dayAndTime } from '@/words/time'

import { AddContacts } from './add-contacts'
import { Bar } from './overview'

const LIMIT = 50

const CAMPAIGN = graphql(`
  query Campaign($id: ID!) {
    campaign(id: $id) {
      id
      name
      status
      scheduledStart
      timezone
      callDays
      maxConcurrentCalls
      callsTotal
      callsCompleted
      callsInProgress
      nextDialAt
      callWindow {
        start
        end
      }
      contactWindow {
        start
        end
      }
      retryPolicy {
        maxAttempts
        delayMinutes
        on
      }
      agent {
        id
        name
      }
      phoneNumber {
        id
        phoneNumber
      }
    }
  }
`)
const CONTACTS = graphql(`
  query CampaignContacts($id: ID!, $limit: Int!, $offset: Int) {
    campaignContacts(id: $id, limit: $limit, offset: $offset) {
      total
      nodes {
        id
        status
        attempts
        nextAttemptAt
        waitingFor
        endReason
        finishedAt
        contact {
          id
          name
          phoneNumber
        }
      }
    }
  }
`)
const SET_STATUS = graphql(`
  mutation SetCampaignStatus($id: ID!, $status: CampaignStatus!) {
    updateCampaign(id: $id, input: { status: $status }) {
      id
      status
    }
  }
`)
const PREFLIGHT = graphql(`
  query Preflight($id: ID!) {
    campaign(id: $id) {
      id
      preflight {
        at
        callable
        onDoNotCallList
        outsideHours
        invalid
        duplicate
      }
    }
  }
`)

type Shown = NonNullable<ResultOf<typeof CAMPAIGN>['campaign']>
type Enrolled = ResultOf<typeof CONTACTS>['campaignContacts']['nodes'][number]

export function Campaign() {
  const { id } = useParams<{ id: string }>()
  const [filter, setFilter] = useFilters()
  const [cancelling, setCancelling] = useState(false)
  const offset = Number(filter('offset')) || 0
  const reading = useReading(CAMPAIGN, { id }, { every: 3_000 })
  const contacts = useReading(CONTACTS, { id, limit: LIMIT, offset }, { every: 5_000, types: ['CampaignContact'] })
  const setStatus = useAction(SET_STATUS)
  const campaign = reading.data?.campaign
  const error = reading.error ?? (campaign && contacts.error) ?? setStatus.error
  const isOpen = campaign?.status === 'ACTIVE' || campaign?.status === 'PAUSED'
  function reload() {
    reading.reload()
    contacts.reload()
  }
  async function become(status: 'ACTIVE' | 'PAUSED' | 'CANCELLED') {
    const done = await setStatus.run({ id, status })
    reload()
    return done
  }
  return (
    <Page
      title={campaign?.name ?? 'Campaign'}
      above={{ href: '/campaigns', label: 'Campaigns' }}
      beside={campaign && <State value={campaign.status} />}
      actions={
        isOpen && (
          <>
            {campaign.status === 'ACTIVE' ? (
              <Button kind="primary" busy={setStatus.busy} onClick={() => void become('PAUSED')}>
                Pause
              </Button>
            ) : (
              <Button kind="primary" busy={setStatus.busy} onClick={() => void become('ACTIVE')}>
                Resume
              </Button>
            )}
            <Button onClick={() => setCancelling(true)}>Cancel …</Button>
          </>
        )
      }
    >
      {error && <ErrorNote>{error}</ErrorNote>}
      {campaign === null && <Empty title="There is no such campaign" />}
      {campaign === undefined && !error && <Loading />}
      {campaign && (
        <>
          <Progress of={campaign} />
          <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-4 lg:grid-cols-[minmax(0,1fr)_20rem]">
            <div className="order-2 grid grid-cols-[minmax(0,1fr)] gap-4 lg:order-1">
              <Card title="Contacts" actions={isOpen && <AddContacts campaign={id} onDone={reload} />} padded={false}>
                <Table
                  label="Contacts"
                  rows={contacts.data?.campaignContacts.nodes}
                  empty={
                    <Empty
                      title="Nobody is enrolled yet"
                      curl={curl(
                        `/campaigns/${id}/contacts`,
                        ` \\\n  -H 'Content-Type: application/json' -d '{"contacts": [{"phoneNumber": "+15555550100"}]}'`,
                      )}
                    >
                      Add contacts here, or with a request:
                    </Empty>
                  }
                  columns={[
                    {
                      name: 'Contact',
                      cell: (row) => (
                        <>
                          <span className="font-medium break-words">
                            {row.contact?.name ?? row.contact?.phoneNumber ?? 'Deleted'}
                          </span>
                          {row.contact?.name && <span className="text-faint block">{row.contact.phoneNumber}</span>}
                        </>
                      ),
                    },
                    {
                      name: 'Status',
                      cell: (row) => (
                        <>
                          <State value={row.status} />
                          <span className="text-faint block sm:hidden">
                            <Standing of={row} />
                          </span>
                        </>
                      ),
                    },
                    { name: 'How it stands', cell: (row) => <Standing of={row} />, from: 'sm' },
                    { name: 'Attempts', cell: (row) => row.attempts, right: true },
                  ]}
                />
              </Card>
              <Paging
                total={contacts.data?.campaignContacts.total}
                limit={LIMIT}
                offset={offset}
                onMove={(next) => setFilter({ offset: String(next) })}
              />
            </div>
            <div className="order-1 grid grid-cols-[minmax(0,1fr)] gap-4 lg:order-2">
              <About of={campaign} />
              {isOpen && <Preflight id={id} />}
            </div>
          </div>
        </>
      )}
      {cancelling && campaign && (
        <FormModal
          open
          onClose={() => setCancelling(false)}
          title={`Cancel ${campaign.name}`}
          submit="Cancel the campaign"
          danger
          busy={setStatus.busy}
          error={setStatus.error}
          onSubmit={() => void become('CANCELLED').then((done) => done && setCancelling(false))}
        >
          <p>
            What waits is dropped, and calls under way go on to their end. A cancelled campaign cannot be resumed; to
            stop for a while, pause it.
          </p>
        </FormModal>
      )}
    </Page>
  )
}

function Progress({ of }: { of: Shown }) {
  return (
    <Card>
      <div className="grid gap-2">
        <div className="flex flex-wrap items-baseline justify-between gap-x-4">
          <p>
            <span className="text-[1.6rem] leading-9 font-semibold tracking-tight">
              {of.callsCompleted.toLocaleString('en')}
            </span>{' '}
            <span className="text-soft">of {of.callsTotal.toLocaleString('en')} contacts finished</span>
          </p>
          <p className="text-soft">
            {of.callsInProgress} of {of.maxConcurrentCalls} calls under way ·{' '}
            <Link href={`/calls?campaign=${of.id}`} className="text-accent hover:underline">
              All its calls
            </Link>
          </p>
        </div>
        <Bar part={of.callsCompleted} of={of.callsTotal} label={of.name} />
        {of.nextDialAt && (
          <p className="text-soft">
            It dials <Countdown to={of.nextDialAt} />, on {dayAndTime(of.nextDialAt)}.
          </p>
        )}
      </div>
    </Card>
  )
}

function Standing({ of }: { of: Enrolled }) {
  if (of.status === 'FINISHED') return of.endReason ? endReason(of.endReason) : 'Finished'
  if (of.nextAttemptAt) {
    return (
      <>
        {of.endReason && `${endReason(of.endReason)}; `}again <Countdown to={of.nextAttemptAt} />
      </>
    )
  }
  return of.waitingFor ? waitReason(of.waitingFor) : '–'
}

function About({ of }: { of: Shown }) {
  const { retryPolicy: retries } = of
  return (
    <Card title="About">
      <Facts>
        <Fact name="Agent">
          {of.agent ? (
            <Link href={`/agents/${of.agent.id}`} className="text-accent hover:underline">
              {of.agent.name}
            </Link>
          ) : (
            'Deleted'
          )}
        </Fact>
        <Fact name="From">{of.phoneNumber?.phoneNumber}</Fact>
        <Fact name="Starts">
          <Ago at={of.scheduledStart} />
        </Fact>
        <Fact name="Dials">
          {of.callWindow ? `${of.callWindow.start}–${of.callWindow.end}, ${of.timezone}` : 'At any hour'}
          {of.callDays && `; ${of.callDays.map(plain).join(', ')}`}
        </Fact>
        {of.contactWindow && (
          <Fact name="Contacts’ hours">
            {of.contactWindow.start}–{of.contactWindow.end}
          </Fact>
        )}
        <Fact name="Retries">
          {retries.maxAttempts > 1
            ? `Up to ${retries.maxAttempts} attempts, after ${retries.delayMinutes.join(', ')} min`
            : 'None'}
        </Fact>
      </Facts>
    </Card>
  )
}

function Preflight({ id }: { id: string }) {
  const [asked, setAsked] = useState(false)
  const preflight = useReading(PREFLIGHT, { id }, { pause: !asked })
  const found = preflight.data?.campaign?.preflight
  return (
    <Card
      title="Who can be called"
      actions={
        <Button onClick={() => (asked ? preflight.reload() : setAsked(true))}>{asked ? 'Again' : 'Look'}</Button>
      }
    >
      {preflight.error && <ErrorNote>{preflight.error}</ErrorNote>}
      {!found && !preflight.error && (
        <p className="text-faint">Of those that are not finished: how many may be called, and why others may not.</p>
      )}
      {found && (
        <Facts>
          <Fact name="May be called">{found.callable.toLocaleString('en')}</Fact>
          <Fact name="On the do-not-call list">{found.onDoNotCallList.toLocaleString('en')}</Fact>
          <Fact name="Outside their hours">{found.outsideHours.toLocaleString('en')}</Fact>
          <Fact name="Without a good number">{found.invalid.toLocaleString('en')}</Fact>
          <Fact name="Twice the same number">{found.duplicate.toLocaleString('en')}</Fact>
        </Facts>
      )}
      {found && found.callable === 0 && found.outsideHours > 0 && <Note>All of them wait for their hours.</Note>}
    </Card>
  )
}
