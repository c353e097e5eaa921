/** The form of a key: name, scopes, addresses, expiry. */
import { Group, Input, Select, Textarea } from '@/parts/field'
import { plain } from '@/words/states'
import { forInput } from '@/words/time'

export const RESOURCES = [
  'AGENTS',
  'CAMPAIGNS',
  'CALLS',
  'APPOINTMENTS',
  'CONTACTS',
  'PHONE_NUMBERS',
  'WEBHOOKS',
  'API_KEYS',
] as const
export type Resource = (typeof RESOURCES)[number]
export type Access = 'NONE' | 'READ' | 'WRITE'
export interface Scope {
  resource: Resource
  access: Access
}
type Scopes = Record<Resource, Access>

/** What a key has unless told otherwise: write on all but keys (decision K2). */
export const EVERYTHING = Object.fromEntries(
  RESOURCES.map((resource) => [resource, resource === 'API_KEYS' ? 'NONE' : 'WRITE']),
) as Scopes
const READ_ONLY = Object.fromEntries(
  RESOURCES.map((resource) => [resource, resource === 'API_KEYS' ? 'NONE' : 'READ']),
) as Scopes

export interface KeyValues {
  name: string
  scopes: Scopes
  /** One address or range on each line; empty: any. */
  addresses: string
  /** As `<input type="datetime-local">` has it; empty: never. */
  expires: string
}

export const NEW_KEY: KeyValues = { name: '', scopes: EVERYTHING, addresses: '', expires: '' }

export function valuesOf(key: {
  name: string
  scopes: readonly Scope[]
  allowedIps: readonly string[] | null
  expiresAt: string | null
}): KeyValues {
  return {
    name: key.name,
    scopes: { ...none(), ...Object.fromEntries(key.scopes.map(({ resource, access }) => [resource, access])) },
    addresses: (key.allowedIps ?? []).join('\n'),
    expires: key.expiresAt ? forInput(new Date(key.expiresAt)) : '',
  }
}

/** What the graph takes. */
export function inputOf(values: KeyValues) {
  const addresses = values.addresses.split(/[\s,]+/).filter(Boolean)
  return {
    name: values.name,
    scopes: RESOURCES.map((resource) => ({ resource, access: values.scopes[resource] })).filter(
      ({ access }) => access !== 'NONE',
    ),
    allowedIps: addresses.length ? addresses : null,
    expiresAt: values.expires ? new Date(values.expires).toISOString() : null,
  }
}

/** Scopes in words: `Everything but keys`, `Reads calls and contacts; changes agents`. */
export function scopeWords(scopes: readonly Scope[]): string {
  const of = (wanted: Access) => scopes.filter(({ access }) => access === wanted).map(({ resource }) => resource)
  const [writes, reads] = [of('WRITE'), of('READ')]
  if (writes.length === RESOURCES.length) return 'Everything, keys too'
  if (same(scopes, EVERYTHING)) return 'Everything but keys'
  if (same(scopes, READ_ONLY)) return 'Reads everything but keys'
  const parts = [reads.length && `reads ${list(reads)}`, writes.length && `reads and changes ${list(writes)}`].filter(
    Boolean,
  )
  return parts.length ? capital(parts.join('; ')) : 'Nothing'
}

function same(scopes: readonly Scope[], wanted: Scopes): boolean {
  const held: Scopes = { ...none(), ...Object.fromEntries(scopes.map(({ resource, access }) => [resource, access])) }
  return RESOURCES.every((resource) => held[resource] === wanted[resource])
}

function none(): Scopes {
  return Object.fromEntries(RESOURCES.map((resource) => [resource, 'NONE'])) as Scopes
}

function list(resources: Resource[]): string {
  const words = resources.map((resource) => (resource === 'API_KEYS' ? 'keys' : plain(resource).toLowerCase()))
  return words.length > 1 ? `${words.slice(0, -1).join(', ')} and ${words.at(-1)}` : (words[0] ?? '')
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

const DAYS = [30, 90, 365]

export function KeyFields({ values, onChange }: { values: KeyValues; onChange: (values: KeyValues) => void }) {
  const set = (changes: Partial<KeyValues>) => onChange({ ...values, ...changes })
  return (
    <>
      <Input
        label="Name"
        required
        maxLength={200}
        autoFocus
        autoComplete="off"
        value={values.name}
        onChange={(event) => set({ name: event.target.value })}
        hint="What uses it: “CRM”, “billing job”."
      />
      <Group label="It may" hint="Write includes read.">
        <div className="mb-1 flex flex-wrap gap-x-4 gap-y-1">
          <Preset label="everything but keys" onClick={() => set({ scopes: EVERYTHING })} />
          <Preset label="read everything but keys" onClick={() => set({ scopes: READ_ONLY })} />
          <Preset label="nothing, to begin with" onClick={() => set({ scopes: none() })} />
        </div>
        <div className="grid gap-x-8 gap-y-1.5 sm:grid-cols-2">
          {RESOURCES.map((resource) => (
            <Scoped
              key={resource}
              resource={resource}
              access={values.scopes[resource]}
              onChange={(access) => set({ scopes: { ...values.scopes, [resource]: access } })}
            />
          ))}
        </div>
      </Group>
      <Textarea
        label="From these addresses only"
        rows={2}
        placeholder="Any address"
        spellCheck={false}
        value={values.addresses}
        onChange={(event) => set({ addresses: event.target.value })}
        hint="IPv4 or IPv6 addresses and CIDR ranges, one on each line: 203.0.113.7, 10.20.0.0/16."
      />
      <div className="grid gap-4 sm:grid-cols-2">
        <Select
          label="Expires"
          value={values.expires ? 'on' : 'never'}
          onChange={(event) => {
            const days = { never: 0, on: 30 }[event.target.value] ?? Number(event.target.value)
            set({ expires: days ? forInput(new Date(Date.now() + days * 86_400_000)) : '' })
          }}
        >
          <option value="never">Never</option>
          {values.expires && <option value="on">At this time</option>}
          {DAYS.map((days) => (
            <option key={days} value={days}>
              In {days} days
            </option>
          ))}
        </Select>
        {values.expires && (
          <Input
            label="At"
            type="datetime-local"
            required
            value={values.expires}
            onChange={(event) => set({ expires: event.target.value })}
          />
        )}
      </div>
    </>
  )
}

function Preset({ label, onClick }: { label: string; onClick: () => void }) {
  return (
    <button type="button" className="text-accent hover:underline" onClick={onClick}>
      {label}
    </button>
  )
}

function Scoped({
  resource,
  access,
  onChange,
}: {
  resource: Resource
  access: Access
  onChange: (access: Access) => void
}) {
  return (
    <label className="flex items-center justify-between gap-2">
      {resource === 'API_KEYS' ? 'API keys' : plain(resource)}
      <select
        className="bg-card border-edge h-7 w-24 shrink-0 rounded-md border px-1.5"
        value={access}
        onChange={(event) => onChange(event.target.value as Access)}
      >
        <option value="NONE">none</option>
        <option value="READ">read</option>
        <option value="WRITE">write</option>
      </select>
    </label>
  )
}
