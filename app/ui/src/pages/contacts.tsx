/** Contacts: who can be called. */
import { useState } from 'react'
import { useLocation } from 'wouter'

import type { ResultOf } from '@/api/graphql'
import { graphql } from '@/api/graphql'
import { useAction, useReading } from '@/api/hooks'
import { Button } from '@/parts/button'
import { Input, Textarea } from '@/parts/field'
import { Menu } from '@/parts/menu'
import { FormModal } from '@/parts/modal'
import { Empty, ErrorNote, curl } from '@/parts/notes'
import { Card, Page } from '@/parts/page'
import { useFilters } from '@/parts/query'
import { Paging, Table } from '@/parts/table'
import { Ago } from '@/parts/time'

import { AddContacts } from './add-contacts'

const LIMIT = 50

const CONTACTS = graphql(`
  query Contacts($limit: Int!, $offset: Int, $phoneNumber: String) {
    contacts(limit: $limit, offset: $offset, phoneNumber: $phoneNumber) {
      total
      nodes {
        id
        phoneNumber
        name
        email
        timezone
        notes
        createdAt
      }
    }
  }
`)
const CREATE_CONTACT = graphql(`
  mutation CreateContact($input: CreateContactInput!) {
    createContact(input: $input) {
      id
    }
  }
`)
const UPDATE_CONTACT = graphql(`
  mutation UpdateContact($id: ID!, $input: UpdateContactInput!) {
    updateContact(id: $id, input: $input) {
      id
    }
  }
`)
const DELETE_CONTACT = graphql(`
  mutation DeleteContact($id: ID!) {
    deleteContact(id: $id)
  }
`)

type ContactRow = ResultOf<typeof CONTACTS>['contacts']['nodes'][number]

export function Contacts() {
  const [filter, setFilter] = useFilters()
  const [, navigate] = useLocation()
  const [doing, setDoing] = useState<{ what: 'add' } | { what: 'edit' | 'delete'; contact: ContactRow } | null>(null)
  const offset = Number(filter('offset')) || 0
  const contacts = useReading(
    CONTACTS,
    { limit: LIMIT, offset, phoneNumber: filter('number') || null },
    { types: ['Contact'] },
  )
  const close = () => setDoing(null)
  return (
    <Page
      title="Contacts"
      actions={
        <>
          <AddContacts campaign={null} onDone={contacts.reload} />
          <Button kind="primary" onClick={() => setDoing({ what: 'add' })}>
            Add a contact
          </Button>
        </>
      }
    >
      <Find
        label="Find a number"
        placeholder="+15555550100"
        value={filter('number')}
        onFind={(number) => setFilter({ number })}
      />
      {contacts.error && <ErrorNote>{contacts.error}</ErrorNote>}
      {!(contacts.error && !contacts.data) && (
        <Card padded={false}>
          <Table
            label="Contacts"
            rows={contacts.data?.contacts.nodes}
            empty={
              filter('number') ? (
                <Empty title="No contact has this number" />
              ) : (
                <Empty
                  title="No contacts yet"
                  curl={curl('/contacts/import', ` \\\n  -H 'Content-Type: text/csv' --data-binary @people.csv`)}
                >
                  Add one here, or many from a CSV file with a phoneNumber column:
                </Empty>
              )
            }
            columns={[
              {
                name: 'Contact',
                cell: (row) => (
                  <>
                    <span className="font-medium break-words">{row.name ?? row.phoneNumber}</span>
                    {row.name && <span className="text-faint block">{row.phoneNumber}</span>}
                  </>
                ),
              },
              { name: 'E-mail', cell: (row) => row.email ?? '–', from: 'md' },
              { name: 'Time zone', cell: (row) => row.timezone ?? 'Of the number', from: 'lg' },
              { name: 'Notes', cell: (row) => <span className="line-clamp-2">{row.notes ?? '–'}</span>, from: 'lg' },
              { name: 'Added', cell: (row) => <Ago at={row.createdAt} />, from: 'sm' },
              {
                name: '',
                right: true,
                cell: (row) => (
                  <Menu
                    label={`Actions for ${row.name ?? row.phoneNumber}`}
                    choices={[
                      {
                        label: 'Call …',
                        onSelect: () => navigate(`/calls?place=1&number=${encodeURIComponent(row.phoneNumber)}`),
                      },
                      { label: 'Its calls', onSelect: () => navigate(`/calls?contact=${row.id}`) },
                      { label: 'Change …', onSelect: () => setDoing({ what: 'edit', contact: row }) },
                      { label: 'Delete …', onSelect: () => setDoing({ what: 'delete', contact: row }), danger: true },
                    ]}
                  />
                ),
              },
            ]}
          />
        </Card>
      )}
      <Paging
        total={contacts.data?.contacts.total}
        limit={LIMIT}
        offset={offset}
        onMove={(next) => setFilter({ offset: String(next) })}
      />
      {doing?.what === 'add' && <EditContact onClose={close} onDone={contacts.reload} />}
      {doing?.what === 'edit' && <EditContact of={doing.contact} onClose={close} onDone={contacts.reload} />}
      {doing?.what === 'delete' && <DeleteContact of={doing.contact} onClose={close} onDone={contacts.reload} />}
    </Page>
  )
}

function Find({
  label,
  placeholder,
  value,
  onFind,
}: {
  label: string
  placeholder: string
  value: string
  onFind: (text: string) => void
}) {
  const [text, setText] = useState(value)
  return (
    <form
      role="search"
      className="flex max-w-sm gap-2"
      onSubmit={(event) => {
        event.preventDefault()
        onFind(text.trim())
      }}
    >
      <input
        aria-label={label}
        type="search"
        placeholder={placeholder}
        className="border-edge bg-card h-8 min-w-0 flex-1 rounded-md border px-2.5"
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <Button type="submit">{label}</Button>
    </form>
  )
}

interface Done {
  onClose: () => void
  onDone: () => void
}

function EditContact({ of, onClose, onDone }: { of?: ContactRow } & Done) {
  const [values, setValues] = useState({
    phoneNumber: of?.phoneNumber ?? '',
    name: of?.name ?? '',
    email: of?.email ?? '',
    timezone: of?.timezone ?? '',
    notes: of?.notes ?? '',
  })
  const create = useAction(CREATE_CONTACT)
  const update = useAction(UPDATE_CONTACT)
  const set = (changes: Partial<typeof values>) => setValues({ ...values, ...changes })
  async function submit() {
    const { phoneNumber, name, email, timezone, notes } = values
    const input = {
      phoneNumber,
      name: name || null,
      email: email || null,
      timezone: timezone || null,
      notes: notes || null,
    }
    const done = of ? await update.run({ id: of.id, input }) : await create.run({ input })
    if (!done) return
    onDone()
    onClose()
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title={of ? 'Change the contact' : 'Add a contact'}
      submit={of ? 'Save' : 'Add the contact'}
      onSubmit={() => void submit()}
      {...(of ? update : create)}
    >
      <Input
        label="Phone number"
        type="tel"
        required
        autoFocus
        placeholder="+15555550100"
        value={values.phoneNumber}
        onChange={(event) => set({ phoneNumber: event.target.value })}
        hint="With + and the country code."
      />
      <Input label="Name" value={values.name} onChange={(event) => set({ name: event.target.value })} />
      <Input
        label="E-mail address"
        type="email"
        value={values.email}
        onChange={(event) => set({ email: event.target.value })}
      />
      <Input
        label="Time zone"
        placeholder="Europe/Berlin"
        value={values.timezone}
        onChange={(event) => set({ timezone: event.target.value })}
        hint="By which its calling hours are kept; without one, the number’s."
      />
      <Textarea label="Notes" value={values.notes} onChange={(event) => set({ notes: event.target.value })} />
    </FormModal>
  )
}

function DeleteContact({ of, onClose, onDone }: { of: ContactRow } & Done) {
  const remove = useAction(DELETE_CONTACT)
  async function submit() {
    if (!(await remove.run({ id: of.id }))) return
    onDone()
    onClose()
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title={`Delete ${of.name ?? of.phoneNumber}`}
      submit="Delete the contact"
      danger
      onSubmit={() => void submit()}
      {...remove}
    >
      <p>Campaigns no longer call it. Its past calls and appointments stay readable.</p>
    </FormModal>
  )
}
