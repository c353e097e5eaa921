/** What is done with an endpoint: add and change, rotate its secret, send a test event, delete. */
import { useState } from 'react'
import { Link } from 'wouter'

import { graphql } from '@/api/graphql'
import { useAction } from '@/api/hooks'
import { Button } from '@/parts/button'
import { Secret } from '@/parts/copy'
import { Check, Group, Input, Select } from '@/parts/field'
import { FormModal, Modal } from '@/parts/modal'
import { Note } from '@/parts/notes'
import { Overlap } from '@/parts/overlap'
import { EVENTS } from '@/words/states'
import { dayAndTime } from '@/words/time'

const CREATE = graphql(`
  mutation CreateEndpoint($input: CreateWebhookEndpointInput!) {
    createWebhookEndpoint(input: $input) {
      id
      url
      secret
    }
  }
`)
export const UPDATE = graphql(`
  mutation UpdateEndpoint($id: ID!, $input: UpdateWebhookEndpointInput!) {
    updateWebhookEndpoint(id: $id, input: $input) {
      id
    }
  }
`)
const DELETE = graphql(`
  mutation DeleteEndpoint($id: ID!) {
    deleteWebhookEndpoint(id: $id)
  }
`)
const ROTATE = graphql(`
  mutation RotateSecret($id: ID!, $overlapSeconds: Int!) {
    rotateWebhookSecret(id: $id, input: { overlapSeconds: $overlapSeconds }) {
      id
      url
      secret
      previousSecretExpiresAt
    }
  }
`)
const TEST = graphql(`
  mutation TestEndpoint($id: ID!, $event: EventType!) {
    testWebhookEndpoint(id: $id, input: { event: $event }) {
      id
    }
  }
`)

interface Endpoint {
  id: string
  url: string
  description: string | null
  events: readonly string[]
}

export function EditEndpoint({
  of,
  onClose,
  onAdded,
}: {
  of?: Endpoint
  onClose: () => void
  onAdded: (url: string, secret: string) => void
}) {
  const [url, setUrl] = useState(of?.url ?? '')
  const [description, setDescription] = useState(of?.description ?? '')
  const [events, setEvents] = useState<string[]>(() => [...(of?.events ?? Object.keys(EVENTS))])
  const create = useAction(CREATE)
  const update = useAction(UPDATE)
  async function submit() {
    const input = { url, events, description: description || null }
    if (of) {
      if (await update.run({ id: of.id, input })) onClose()
    } else {
      const added = await create.run({ input })
      if (added) onAdded(added.createWebhookEndpoint.url, added.createWebhookEndpoint.secret)
    }
  }
  const action = of ? update : create
  return (
    <FormModal
      open
      onClose={onClose}
      title={of ? 'Change the endpoint' : 'Add an endpoint'}
      submit={of ? 'Save' : 'Add the endpoint'}
      disabled={!events.length}
      onSubmit={() => void submit()}
      {...action}
    >
      <Input
        label="URL"
        type="url"
        required
        autoFocus
        placeholder="https://example.com/webhook"
        value={url}
        onChange={(event) => setUrl(event.target.value)}
        hint="A public HTTPS address that answers a POST with 2xx within ten seconds."
      />
      <Input
        label="Description"
        maxLength={200}
        value={description}
        onChange={(event) => setDescription(event.target.value)}
      />
      <Group label="Events">
        {Object.entries(EVENTS).map(([event, words]) => (
          <Check
            key={event}
            label={event}
            hint={words}
            checked={events.includes(event)}
            onChange={({ target }) =>
              setEvents(target.checked ? [...events, event] : events.filter((each) => each !== event))
            }
          />
        ))}
      </Group>
    </FormModal>
  )
}

export function RotateSecret({
  of,
  onClose,
  onRotated,
}: {
  of: Endpoint
  onClose: () => void
  onRotated: (secret: string, until: string | null) => void
}) {
  const [overlap, setOverlap] = useState(86_400)
  const rotate = useAction(ROTATE)
  async function submit() {
    const done = await rotate.run({ id: of.id, overlapSeconds: overlap })
    if (done) onRotated(done.rotateWebhookSecret.secret, done.rotateWebhookSecret.previousSecretExpiresAt)
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title="Rotate the secret"
      submit="Rotate the secret"
      onSubmit={() => void submit()}
      {...rotate}
    >
      <p className="break-words">
        Deliveries to <span className="break-all">{of.url}</span> are signed with a new secret. Until the old one ends,
        they carry the signatures of both.
      </p>
      <Overlap label="The old secret stays good for" value={overlap} onChange={setOverlap} />
    </FormModal>
  )
}

export function TestEndpoint({ of, onClose }: { of: Endpoint; onClose: () => void }) {
  const [event, setEvent] = useState('call.ended')
  const [sent, setSent] = useState('')
  const test = useAction(TEST)
  async function submit() {
    const done = await test.run({ id: of.id, event })
    if (done) setSent(done.testWebhookEndpoint.id)
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title="Send a test event"
      submit={sent ? 'Send another' : 'Send the event'}
      onSubmit={() => void submit()}
      {...test}
    >
      <p className="break-words">
        A made-up event goes to <span className="break-all">{of.url}</span>, once, signed like a real one.
      </p>
      <Select label="Event" value={event} onChange={(change) => setEvent(change.target.value)}>
        {Object.keys(EVENTS).map((each) => (
          <option key={each}>{each}</option>
        ))}
      </Select>
      {sent && (
        <Note>
          On its way.{' '}
          <Link href={`/integrations/webhooks/logs/${sent}`} className="underline">
            See what came back
          </Link>
        </Note>
      )}
    </FormModal>
  )
}

export function DeleteEndpoint({ of, onClose }: { of: Endpoint; onClose: () => void }) {
  const remove = useAction(DELETE)
  async function submit() {
    if (await remove.run({ id: of.id })) onClose()
  }
  return (
    <FormModal
      open
      onClose={onClose}
      title="Delete the endpoint"
      submit="Delete the endpoint"
      danger
      onSubmit={() => void submit()}
      {...remove}
    >
      <p className="break-words">
        Nothing more is sent to <span className="break-all">{of.url}</span>, and its logs can no longer be read. To stop
        for a while, pause it.
      </p>
    </FormModal>
  )
}

export function SecretShown({
  url,
  secret,
  until,
  onClose,
}: {
  url: string
  secret: string
  until: string | null
  onClose: () => void
}) {
  return (
    <Modal open onClose={onClose} title="The endpoint’s secret" dismissible={false}>
      <div className="grid grid-cols-[minmax(0,1fr)] gap-4 overflow-y-auto px-5 py-4">
        <Note tone="warn">Copy it now: it is shown only this once.</Note>
        <p className="break-words">
          What arrives at <span className="break-all">{url}</span> is genuine when its{' '}
          <code className="font-mono">X-VoxForge-Signature</code> is <code className="font-mono">sha256=</code> and the
          HMAC-SHA256 of the body with this secret.
        </p>
        <Secret label="Signing secret" text={secret} />
        {until && <p className="text-soft">The old secret stays good until {dayAndTime(until)}.</p>}
      </div>
      <div className="border-line flex justify-end border-t px-5 py-3">
        <Button kind="primary" onClick={onClose}>
          I have copied it
        </Button>
      </div>
    </Modal>
  )
}
