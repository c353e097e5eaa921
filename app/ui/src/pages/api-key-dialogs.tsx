/** What is done with a key: make, change, rotate, revoke; and its text, shown once. */
import { useState } from 'react'

import { graphql } from '@/api/graphql'
import { useAction } from '@/api/hooks'
import { Button } from '@/parts/button'
import { Secret } from '@/parts/copy'
import { Input } from '@/parts/field'
import { FormModal, Modal } from '@/parts/modal'
import { Command, Note, curl } from '@/parts/notes'
import { Overlap } from '@/parts/overlap'
import { dayAndTime } from '@/words/time'

import type { KeyValues, Scope } from './api-key-form'
import { KeyFields, NEW_KEY, inputOf, valuesOf } from './api-key-form'

const CREATE = graphql(`
  mutation CreateApiKey($input: CreateApiKeyInput!) {
    createApiKey(input: $input) {
      key
      apiKey {
        id
        name
      }
    }
  }
`)
const UPDATE = graphql(`
  mutation UpdateApiKey($id: ID!, $input: UpdateApiKeyInput!) {
    updateApiKey(id: $id, input: $input) {
      id
    }
  }
`)
const ROTATE = graphql(`
  mutation RotateApiKey($id: ID!, $overlapSeconds: Int) {
    rotateApiKey(id: $id, overlapSeconds: $overlapSeconds) {
      key
      previousKeyExpiresAt
      apiKey {
        id
        name
      }
    }
  }
`)
const REVOKE = graphql(`
  mutation RevokeApiKey($id: ID!) {
    revokeApiKey(id: $id) {
      id
    }
  }
`)

interface Key {
  id: string
  name: string
  prefix: string
  lastFour: string
  scopes: readonly Scope[]
  allowedIps: readonly string[] | null
  expiresAt: string | null
}

export function MakeKey({ onClose, onMade }: { onClose: () => void; onMade: (name: string, text: string) => void }) {
  const [values, setValues] = useState<KeyValues>(NEW_KEY)
  const create = useAction(CREATE)
  async function submit() {
    const made = await create.run({ input: inputOf(values) })
    if (made) onMade(made.createApiKey.apiKey.name, made.createApiKey.key)
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title="Make a key"
      submit="Make the key"
      onSubmit={() => void submit()}
      {...create}
    >
      <KeyFields values={values} onChange={setValues} />
    </FormModal>
  )
}

export function EditKey({ of, onClose }: { of: Key; onClose: () => void }) {
  const [values, setValues] = useState<KeyValues>(() => valuesOf(of))
  const update = useAction(UPDATE)
  async function submit() {
    if (await update.run({ id: of.id, input: inputOf(values) })) onClose()
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title={`Change ${of.name}`}
      submit="Save"
      onSubmit={() => void submit()}
      {...update}
    >
      <KeyFields values={values} onChange={setValues} />
    </FormModal>
  )
}

export function RotateKey({
  of,
  onClose,
  onRotated,
}: {
  of: Key
  onClose: () => void
  onRotated: (text: string, until: string | null) => void
}) {
  const [overlap, setOverlap] = useState(86_400)
  const rotate = useAction(ROTATE)
  async function submit() {
    const done = await rotate.run({ id: of.id, overlapSeconds: overlap })
    if (done) onRotated(done.rotateApiKey.key, done.rotateApiKey.previousKeyExpiresAt)
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title={`Rotate ${of.name}`}
      submit="Rotate the key"
      onSubmit={() => void submit()}
      {...rotate}
    >
      <p>The key gets a new text. Its name, scopes, addresses and limits stay.</p>
      <Overlap label="The old text stays good for" value={overlap} onChange={setOverlap} />
    </FormModal>
  )
}

export function RevokeKey({ of, onClose }: { of: Key; onClose: () => void }) {
  const [typed, setTyped] = useState('')
  const revoke = useAction(REVOKE)
  async function submit() {
    if (await revoke.run({ id: of.id })) onClose()
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title={`Revoke ${of.name}`}
      submit="Revoke the key"
      danger
      disabled={typed !== of.name}
      onSubmit={() => void submit()}
      {...revoke}
    >
      <p>
        Every request with <code className="font-mono">{`${of.prefix}…${of.lastFour}`}</code> is refused from now on.
        This cannot be undone.
      </p>
      <Input
        label={`Type ${of.name} to confirm`}
        value={typed}
        autoComplete="off"
        onChange={(event) => setTyped(event.target.value)}
      />
    </FormModal>
  )
}

export function KeyShown({
  name,
  text,
  until,
  onClose,
}: {
  name: string
  text: string
  until: string | null
  onClose: () => void
}) {
  return (
    <Modal open onClose={onClose} title={`The key ${name}`} dismissible={false}>
      <div className="grid grid-cols-[minmax(0,1fr)] gap-4 overflow-y-auto px-5 py-4">
        <Note tone="warn">Copy it now: it is shown only this once, and kept nowhere.</Note>
        <Secret label="API key" text={text} />
        {until && <p className="text-soft">The old text stays good until {dayAndTime(until)}.</p>}
        <div>
          <p className="font-medium">Try it</p>
          <Command text={`export KEY=${text}\n${curl('/agents')}`} />
        </div>
      </div>
      <div className="border-line flex justify-end border-t px-5 py-3">
        <Button kind="primary" onClick={onClose}>
          I have copied it
        </Button>
      </div>
    </Modal>
  )
}
