/** The do-not-call list: who is never called. */
import { useState } from 'react'
import { useLocation } from 'wouter'

import type { ResultOf } from '@/api/graphql'
import { graphql } from '@/api/graphql'
import { useAction, useReading } from '@/api/hooks'
import { Button } from '@/parts/button'
import { Input } from '@/parts/field'
import { Menu } from '@/parts/menu'
import { FormModal } from '@/parts/modal'
import { Empty, ErrorNote, curlJson } from '@/parts/notes'
import { Card, Page } from '@/parts/page'
import { useFilters } from '@/parts/query'
import { Paging, Table } from '@/parts/table'
import { Ago } from '@/parts/time'

const LIMIT = 50

const DO_NOT_CALL = graphql(`
  query DoNotCall($limit: Int!, $offset: Int) {
    doNotCall(limit: $limit, offset: $offset) {
      total
      nodes {
        id
        phoneNumber
        reason
        source
        callId
        createdAt
      }
    }
  }
`)
const ADD_DO_NOT_CALL = graphql(`
  mutation AddDoNotCall($input: AddDoNotCallInput!) {
    addDoNotCall(input: $input) {
      id
    }
  }
`)
const REMOVE_DO_NOT_CALL = graphql(`
  mutation RemoveDoNotCall($id: ID!) {
    removeDoNotCall(id: $id)
  }
`)

interface Done {
  onClose: () => void
  onDone: () => void
}

type Entry = ResultOf<typeof DO_NOT_CALL>['doNotCall']['nodes'][number]

export function DoNotCall() {
  const [filter, setFilter] = useFilters()
  const [, navigate] = useLocation()
  const [doing, setDoing] = useState<{ what: 'add' } | { what: 'remove'; entry: Entry } | null>(null)
  const offset = Number(filter('offset')) || 0
  const list = useReading(DO_NOT_CALL, { limit: LIMIT, offset }, { types: ['DoNotCallEntry'] })
  const close = () => setDoing(null)
  return (
    <Page
      title="Do-not-call"
      actions={
        <Button kind="primary" onClick={() => setDoing({ what: 'add' })}>
          Add a number
        </Button>
      }
    >
      <p className="text-soft max-w-3xl">
        These numbers are never dialed. Whoever asks an agent not to be called again is put on the list.
      </p>
      {list.error && <ErrorNote>{list.error}</ErrorNote>}
      {!(list.error && !list.data) && (
        <Card padded={false}>
          <Table
            label="Do-not-call list"
            rows={list.data?.doNotCall.nodes}
            empty={
              <Empty title="Nobody is on the list" curl={curlJson('/do-not-call', { phoneNumber: '+15555550102' })} />
            }
            columns={[
              { name: 'Number', cell: (row) => <span className="font-medium">{row.phoneNumber}</span> },
              { name: 'By', cell: (row) => (row.source === 'CALLEE' ? 'The callee' : 'The workspace') },
              { name: 'Reason', cell: (row) => row.reason ?? '–', from: 'sm' },
              { name: 'Since', cell: (row) => <Ago at={row.createdAt} /> },
              {
                name: '',
                right: true,
                cell: (row) => (
                  <Menu
                    label={`Actions for ${row.phoneNumber}`}
                    choices={[
                      ...(row.callId ? [{ label: 'The call', onSelect: () => navigate(`/calls/${row.callId}`) }] : []),
                      {
                        label: 'Take off the list …',
                        onSelect: () => setDoing({ what: 'remove', entry: row }),
                        danger: true,
                      },
                    ]}
                  />
                ),
              },
            ]}
          />
        </Card>
      )}
      <Paging
        total={list.data?.doNotCall.total}
        limit={LIMIT}
        offset={offset}
        onMove={(next) => setFilter({ offset: String(next) })}
      />
      {doing?.what === 'add' && <AddNumber onClose={close} onDone={list.reload} />}
      {doing?.what === 'remove' && <RemoveNumber of={doing.entry} onClose={close} onDone={list.reload} />}
    </Page>
  )
}

function AddNumber({ onClose, onDone }: Done) {
  const [phoneNumber, setNumber] = useState('')
  const [reason, setReason] = useState('')
  const add = useAction(ADD_DO_NOT_CALL)
  async function submit() {
    if (!(await add.run({ input: { phoneNumber, reason: reason || null } }))) return
    onDone()
    onClose()
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title="Add a number to the list"
      submit="Add the number"
      onSubmit={() => void submit()}
      {...add}
    >
      <Input
        label="Phone number"
        type="tel"
        required
        autoFocus
        value={phoneNumber}
        onChange={(event) => setNumber(event.target.value)}
        hint="With + and the country code."
      />
      <Input label="Reason" value={reason} onChange={(event) => setReason(event.target.value)} />
    </FormModal>
  )
}

function RemoveNumber({ of, onClose, onDone }: { of: Entry } & Done) {
  const remove = useAction(REMOVE_DO_NOT_CALL)
  async function submit() {
    if (!(await remove.run({ id: of.id }))) return
    onDone()
    onClose()
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title={`Take ${of.phoneNumber} off the list`}
      submit="Take it off the list"
      danger
      onSubmit={() => void submit()}
      {...remove}
    >
      <p>
        It can be called again from now on.{' '}
        {of.source === 'CALLEE' && 'The callee asked not to be: make sure that they have changed their mind.'}
      </p>
    </FormModal>
  )
}
