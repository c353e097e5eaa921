/** Phone numbers: what calls are placed from. */
import { useState } from 'react'

import type { ResultOf } from '@/api/graphql'
import { graphql } from '@/api/graphql'
import { useAction, useReading } from '@/api/hooks'
import { Badge } from '@/parts/badge'
import { Button } from '@/parts/button'
import { Check, Input } from '@/parts/field'
import { Menu } from '@/parts/menu'
import { FormModal } from '@/parts/modal'
import { Empty, ErrorNote, curl } from '@/parts/notes'
import { Card, Page } from '@/parts/page'
import { useFilters } from '@/parts/query'
import { Paging, Table } from '@/parts/table'

const LIMIT = 50

const NUMBERS = graphql(`
  query PhoneNumbers($limit: Int!, $offset: Int) {
    phoneNumbers(limit: $limit, offset: $offset) {
      total
      nodes {
        id
        phoneNumber
        name
        carrier
        isActive
        callsPerSecond
        createdAt
      }
    }
  }
`)
const CREATE_NUMBER = graphql(`
  mutation CreateNumber($input: CreatePhoneNumberInput!) {
    createPhoneNumber(input: $input) {
      id
    }
  }
`)
const UPDATE_NUMBER = graphql(`
  mutation UpdateNumber($id: ID!, $input: UpdatePhoneNumberInput!) {
    updatePhoneNumber(id: $id, input: $input) {
      id
    }
  }
`)

interface Done {
  onClose: () => void
  onDone: () => void
}

type NumberRow = ResultOf<typeof NUMBERS>['phoneNumbers']['nodes'][number]

export function PhoneNumbers() {
  const [filter, setFilter] = useFilters()
  const [doing, setDoing] = useState<{ of?: NumberRow } | null>(null)
  const offset = Number(filter('offset')) || 0
  const numbers = useReading(NUMBERS, { limit: LIMIT, offset }, { types: ['PhoneNumber'] })
  return (
    <Page
      title="Phone numbers"
      actions={
        <Button kind="primary" onClick={() => setDoing({})}>
          Add a number
        </Button>
      }
    >
      {numbers.error && <ErrorNote>{numbers.error}</ErrorNote>}
      {!(numbers.error && !numbers.data) && (
        <Card padded={false}>
          <Table
            label="Phone numbers"
            rows={numbers.data?.phoneNumbers.nodes}
            dimmed={(row) => !row.isActive}
            empty={
              <Empty title="No numbers yet" curl={curl('/phone-numbers')}>
                Calls are placed from a number of yours.
              </Empty>
            }
            columns={[
              {
                name: 'Number',
                cell: (row) => (
                  <>
                    <span className="font-medium">{row.phoneNumber}</span>
                    <span className="text-faint block">{row.name}</span>
                  </>
                ),
              },
              {
                name: 'State',
                cell: (row) => (row.isActive ? <Badge tone="good">Active</Badge> : <Badge tone="quiet">Off</Badge>),
              },
              { name: 'Carrier', cell: (row) => row.carrier, from: 'sm' },
              { name: 'Dials a second', cell: (row) => row.callsPerSecond ?? 'No limit', from: 'sm' },
              {
                name: '',
                right: true,
                cell: (row) => (
                  <Menu
                    label={`Actions for ${row.phoneNumber}`}
                    choices={[{ label: 'Change …', onSelect: () => setDoing({ of: row }) }]}
                  />
                ),
              },
            ]}
          />
        </Card>
      )}
      <Paging
        total={numbers.data?.phoneNumbers.total}
        limit={LIMIT}
        offset={offset}
        onMove={(next) => setFilter({ offset: String(next) })}
      />
      {doing && <EditNumber {...doing} onClose={() => setDoing(null)} onDone={numbers.reload} />}
    </Page>
  )
}

function EditNumber({ of, onClose, onDone }: { of?: NumberRow } & Done) {
  const [phoneNumber, setNumber] = useState('')
  const [name, setName] = useState(of?.name ?? '')
  const [isActive, setActive] = useState(of?.isActive ?? true)
  const [pace, setPace] = useState(of?.callsPerSecond ? String(of.callsPerSecond) : '')
  const create = useAction(CREATE_NUMBER)
  const update = useAction(UPDATE_NUMBER)
  async function submit() {
    const callsPerSecond = pace ? Number(pace) : null
    const done = of
      ? await update.run({ id: of.id, input: { name, isActive, callsPerSecond } })
      : await create.run({ input: { phoneNumber, name, callsPerSecond } })
    if (!done) return
    onDone()
    onClose()
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title={of?.phoneNumber ?? 'Add a number'}
      submit={of ? 'Save' : 'Add the number'}
      onSubmit={() => void submit()}
      {...(of ? update : create)}
    >
      {!of && (
        <Input
          label="Phone number"
          type="tel"
          required
          autoFocus
          value={phoneNumber}
          onChange={(event) => setNumber(event.target.value)}
          hint="With + and the country code."
        />
      )}
      <Input label="Name" required value={name} onChange={(event) => setName(event.target.value)} />
      <Input
        label="Dials a second, at most"
        type="number"
        min={1}
        placeholder="No limit"
        value={pace}
        onChange={(event) => setPace(event.target.value)}
      />
      {of && (
        <Check
          label="Active"
          hint="While it is off, nothing is dialed from it."
          checked={isActive}
          onChange={(event) => setActive(event.target.checked)}
        />
      )}
    </FormModal>
  )
}
