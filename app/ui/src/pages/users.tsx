/** Settings → People: who may sign in to the workspace. */
import { useState } from 'react'

import type { ResultOf } from '@/api/graphql'
import { graphql } from '@/api/graphql'
import { useAction, useReading } from '@/api/hooks'
import { Badge } from '@/parts/badge'
import { Button } from '@/parts/button'
import { Secret } from '@/parts/copy'
import { Input, Select } from '@/parts/field'
import type { Choice } from '@/parts/menu'
import { Menu } from '@/parts/menu'
import { FormModal, Modal } from '@/parts/modal'
import { ErrorNote, Note } from '@/parts/notes'
import { Card, Page } from '@/parts/page'
import { Table } from '@/parts/table'
import { Ago } from '@/parts/time'
import { useSession } from '@/shell/session'
import { plain } from '@/words/states'

const USERS = graphql(`
  query Users {
    users {
      id
      email
      role
      mustChangePassword
      lastSignedInAt
      createdAt
    }
  }
`)
const CREATE = graphql(`
  mutation CreateUser($input: CreateUserInput!) {
    createUser(input: $input) {
      oneTimePassword
      user {
        id
        email
      }
    }
  }
`)
const UPDATE = graphql(`
  mutation UpdateUser($id: ID!, $role: UserRole!) {
    updateUser(id: $id, role: $role) {
      id
      role
    }
  }
`)
const REMOVE = graphql(`
  mutation RemoveUser($id: ID!) {
    removeUser(id: $id)
  }
`)
const RESET = graphql(`
  mutation ResetPassword($id: ID!) {
    resetUserPassword(id: $id) {
      oneTimePassword
      user {
        id
        email
      }
    }
  }
`)

type User = ResultOf<typeof USERS>['users'][number]
type Doing =
  { what: 'add' } | { what: 'remove' | 'reset'; user: User } | { what: 'show'; email: string; password: string }

export function Users() {
  const { session } = useSession()
  const users = useReading(USERS, {}, { types: ['User'] })
  const update = useAction(UPDATE)
  const [doing, setDoing] = useState<Doing | null>(null)
  const error = users.error ?? update.error
  const show = (email: string, password: string) => {
    users.reload()
    setDoing({ what: 'show', email, password })
  }
  const close = () => setDoing(null)
  function choices(user: User): Choice[] {
    const other = user.role === 'OWNER' ? 'MEMBER' : 'OWNER'
    return [
      {
        label: `Make ${other === 'OWNER' ? 'an owner' : 'a member'}`,
        onSelect: () => void update.run({ id: user.id, role: other }).then(users.reload),
      },
      { label: 'Reset the password …', onSelect: () => setDoing({ what: 'reset', user }) },
      { label: 'Remove …', onSelect: () => setDoing({ what: 'remove', user }), danger: true },
    ]
  }
  return (
    <Page
      title="People"
      actions={
        <Button kind="primary" onClick={() => setDoing({ what: 'add' })}>
          Add somebody
        </Button>
      }
    >
      <p className="text-soft max-w-3xl">
        Owners may do everything; members all but see and manage keys, people and the audit log.
      </p>
      {error && <ErrorNote>{error}</ErrorNote>}
      {!(error && !users.data) && (
        <Card padded={false}>
          <Table
            label="People"
            rows={users.data?.users}
            empty={null}
            columns={[
              {
                name: 'E-mail address',
                cell: (user) => (
                  <span className="inline-flex flex-wrap items-center gap-x-2 break-all">
                    <span className="font-medium">{user.email}</span>
                    {user.id === session.user.id && <Badge tone="good">You</Badge>}
                    {user.mustChangePassword && <Badge tone="warn">One-time password</Badge>}
                  </span>
                ),
              },
              { name: 'Role', cell: (user) => plain(user.role) },
              {
                name: 'Signed in',
                cell: (user) => (user.lastSignedInAt ? <Ago at={user.lastSignedInAt} /> : 'Never'),
                from: 'sm',
              },
              {
                name: '',
                right: true,
                cell: (user) => <Menu label={`Actions for ${user.email}`} choices={choices(user)} />,
              },
            ]}
          />
        </Card>
      )}
      {doing?.what === 'add' && <Add onClose={close} onAdded={show} />}
      {doing?.what === 'reset' && <Reset of={doing.user} onClose={close} onReset={show} />}
      {doing?.what === 'remove' && <Remove of={doing.user} onClose={close} onDone={users.reload} />}
      {doing?.what === 'show' && <Shown {...doing} onClose={close} />}
    </Page>
  )
}

interface Dialog {
  onClose: () => void
}

function Add({ onClose, onAdded }: Dialog & { onAdded: (email: string, password: string) => void }) {
  const [email, setEmail] = useState('')
  const [role, setRole] = useState<'OWNER' | 'MEMBER'>('MEMBER')
  const create = useAction(CREATE)
  async function submit() {
    const added = await create.run({ input: { email, role } })
    if (added) onAdded(added.createUser.user.email, added.createUser.oneTimePassword)
  }
  return (
    <FormModal open onClose={onClose} title="Add somebody" submit="Add them" onSubmit={() => void submit()} {...create}>
      <Input
        label="E-mail address"
        type="email"
        required
        autoFocus
        value={email}
        onChange={(event) => setEmail(event.target.value)}
        hint="Nothing is sent to it: you hand them a one-time password yourself."
      />
      <Select
        label="Role"
        value={role}
        onChange={(event) => setRole(event.target.value === 'OWNER' ? 'OWNER' : 'MEMBER')}
      >
        <option value="MEMBER">Member</option>
        <option value="OWNER">Owner</option>
      </Select>
    </FormModal>
  )
}

function Reset({ of, onClose, onReset }: Dialog & { of: User; onReset: (email: string, password: string) => void }) {
  const reset = useAction(RESET)
  async function submit() {
    const done = await reset.run({ id: of.id })
    if (done) onReset(done.resetUserPassword.user.email, done.resetUserPassword.oneTimePassword)
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title={`Reset the password of ${of.email}`}
      submit="Reset the password"
      danger
      onSubmit={() => void submit()}
      {...reset}
    >
      <p>They are signed out everywhere at once, and sign in again with a one-time password.</p>
    </FormModal>
  )
}

function Remove({ of, onClose, onDone }: Dialog & { of: User; onDone: () => void }) {
  const remove = useAction(REMOVE)
  async function submit() {
    if (!(await remove.run({ id: of.id }))) return
    onDone()
    onClose()
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title={`Remove ${of.email}`}
      submit="Remove them"
      danger
      onSubmit={() => void submit()}
      {...remove}
    >
      <p>They are signed out everywhere at once, and can no longer sign in.</p>
    </FormModal>
  )
}

function Shown({ email, password, onClose }: Dialog & { email: string; password: string }) {
  return (
    <Modal open onClose={onClose} title={email} dismissible={false}>
      <div className="grid grid-cols-[minmax(0,1fr)] gap-4 overflow-y-auto px-5 py-4">
        <Note tone="warn">Copy it now, and hand it over: it is shown only this once.</Note>
        <Secret label="One-time password" text={password} />
      </div>
      <div className="border-line flex justify-end border-t px-5 py-3">
        <Button kind="primary" onClick={onClose}>
          I have copied it
        </Button>
      </div>
    </Modal>
  )
}
