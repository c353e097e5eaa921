/** Appointments: what agents have booked, and what came of it. */
import { useState } from 'react'
import { useLocation } from 'wouter'

import type { ResultOf } from '@/api/graphql'
import { graphql } from '@/api/graphql'
import { useAction, useReading } from '@/api/hooks'
import { State } from '@/parts/badge'
import { DayFilter, Filter, Input, Textarea } from '@/parts/field'
import type { Choice } from '@/parts/menu'
import { Menu } from '@/parts/menu'
import { FormModal } from '@/parts/modal'
import { Empty, ErrorNote, curl } from '@/parts/notes'
import { Card, Page, Toolbar } from '@/parts/page'
import { useFilters } from '@/parts/query'
import { Paging, Table } from '@/parts/table'
import { plain } from '@/words/states'
import { boundOfDay, dayAndTime, exactly, forInput, length } from '@/words/time'

const LIMIT = 50
const STATUSES = ['CONFIRMED', 'COMPLETED', 'CANCELLED', 'NO_SHOW'] as const

const APPOINTMENTS = graphql(`
  query Appointments(
    $limit: Int!
    $offset: Int
    $status: AppointmentStatus
    $from: DateOrDateTime
    $to: DateOrDateTime
  ) {
    appointments(limit: $limit, offset: $offset, status: $status, from: $from, to: $to) {
      total
      nodes {
        id
        title
        notes
        status
        startTime
        endTime
        callId
        contact {
          id
          name
          phoneNumber
        }
      }
    }
  }
`)
const UPDATE = graphql(`
  mutation UpdateAppointment($id: ID!, $input: UpdateAppointmentInput!) {
    updateAppointment(id: $id, input: $input) {
      id
      status
    }
  }
`)

type Appointment = ResultOf<typeof APPOINTMENTS>['appointments']['nodes'][number]

export function Appointments() {
  const [filter, setFilter] = useFilters()
  const [, navigate] = useLocation()
  const [moving, setMoving] = useState<Appointment>()
  const offset = Number(filter('offset')) || 0
  const appointments = useReading(
    APPOINTMENTS,
    {
      limit: LIMIT,
      offset,
      status: STATUSES.find((status) => status === filter('status')) ?? null,
      from: boundOfDay(filter('from'), false),
      to: boundOfDay(filter('to'), true),
    },
    { types: ['Appointment'], every: 15_000 },
  )
  const update = useAction(UPDATE)
  const error = appointments.error ?? update.error
  const narrowed = ['status', 'from', 'to'].some((name) => filter(name))
  function choices(row: Appointment): Choice[] {
    const callId = row.callId
    const call = callId ? [{ label: 'The call', onSelect: () => navigate(`/calls/${callId}`) }] : []
    if (row.status !== 'CONFIRMED') return call // the other statuses are final
    const settle = (status: 'COMPLETED' | 'NO_SHOW' | 'CANCELLED') => () =>
      void update.run({ id: row.id, input: { status } }).then(appointments.reload)
    return [
      ...call,
      { label: 'Change …', onSelect: () => setMoving(row) },
      { label: 'It took place', onSelect: settle('COMPLETED') },
      { label: 'Nobody came', onSelect: settle('NO_SHOW') },
      { label: 'Cancel it', onSelect: settle('CANCELLED'), danger: true },
    ]
  }
  return (
    <Page title="Appointments">
      <Toolbar>
        <Filter label="Status" value={filter('status')} onChange={(event) => setFilter({ status: event.target.value })}>
          <option value="">Any status</option>
          {STATUSES.map((status) => (
            <option key={status} value={status}>
              {plain(status)}
            </option>
          ))}
        </Filter>
        <span className="sm:hidden" />
        <DayFilter label="From" value={filter('from')} onChange={(event) => setFilter({ from: event.target.value })} />
        <DayFilter label="to" value={filter('to')} onChange={(event) => setFilter({ to: event.target.value })} />
      </Toolbar>
      {error && <ErrorNote>{error}</ErrorNote>}
      {!(error && !appointments.data) && (
        <Card padded={false}>
          <Table
            label="Appointments"
            rows={appointments.data?.appointments.nodes}
            empty={
              narrowed ? (
                <Empty title="No appointments like that" />
              ) : (
                <Empty title="No appointments yet" curl={curl('/appointments')}>
                  Agents book them in their calls.
                </Empty>
              )
            }
            columns={[
              {
                name: 'When',
                cell: (row) => (
                  <time dateTime={row.startTime} title={exactly(row.startTime)} className="font-medium">
                    {dayAndTime(row.startTime)}
                  </time>
                ),
              },
              {
                name: 'For',
                cell: (row) => length((Date.parse(row.endTime) - Date.parse(row.startTime)) / 1000),
                from: 'md',
              },
              { name: 'What', cell: (row) => row.title, from: 'sm' },
              { name: 'With', cell: (row) => row.contact?.name ?? row.contact?.phoneNumber ?? 'Deleted' },
              { name: 'Status', cell: (row) => <State value={row.status} /> },
              {
                name: '',
                right: true,
                cell: (row) =>
                  choices(row).length > 0 && <Menu label={`Actions for ${row.title}`} choices={choices(row)} />,
              },
            ]}
          />
        </Card>
      )}
      <Paging
        total={appointments.data?.appointments.total}
        limit={LIMIT}
        offset={offset}
        onMove={(next) => setFilter({ offset: String(next) })}
      />
      {moving && <Change of={moving} onClose={() => setMoving(undefined)} onDone={appointments.reload} />}
    </Page>
  )
}

function Change({ of, onClose, onDone }: { of: Appointment; onClose: () => void; onDone: () => void }) {
  const [title, setTitle] = useState(of.title)
  const [notes, setNotes] = useState(of.notes ?? '')
  const [start, setStart] = useState(forInput(new Date(of.startTime)))
  const [end, setEnd] = useState(forInput(new Date(of.endTime)))
  const update = useAction(UPDATE)
  async function submit() {
    const input = {
      title,
      notes: notes || null,
      startTime: new Date(start).toISOString(),
      endTime: new Date(end).toISOString(),
    }
    if (!(await update.run({ id: of.id, input }))) return
    onDone()
    onClose()
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title="Change the appointment"
      submit="Save"
      onSubmit={() => void submit()}
      {...update}
    >
      <Input label="Title" required value={title} onChange={(event) => setTitle(event.target.value)} />
      <div className="grid gap-4 sm:grid-cols-2">
        <Input
          label="Begins"
          type="datetime-local"
          required
          value={start}
          onChange={(event) => setStart(event.target.value)}
        />
        <Input
          label="Ends"
          type="datetime-local"
          required
          value={end}
          onChange={(event) => setEnd(event.target.value)}
        />
      </div>
      <Textarea label="Notes" value={notes} onChange={(event) => setNotes(event.target.value)} />
    </FormModal>
  )
}
