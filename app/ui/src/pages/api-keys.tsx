/** Settings → API Keys: who may use the API, for what, from where and how long. */
import { useState } from 'react'

import type { ResultOf } from '@/api/graphql'
import { graphql } from '@/api/graphql'
import { useReading } from '@/api/hooks'
import { Badge } from '@/parts/badge'
import { Button } from '@/parts/button'
import { Menu } from '@/parts/menu'
import { Empty, ErrorNote, curl } from '@/parts/notes'
import { Card, Page, Toolbar } from '@/parts/page'
import { useFilters } from '@/parts/query'
import { Table } from '@/parts/table'
import { Ago } from '@/parts/time'

import { EditKey, KeyShown, MakeKey, RevokeKey, RotateKey } from './api-key-dialogs'
import { scopeWords } from './api-key-form'

const KEYS = graphql(`
  query ApiKeys {
    apiKeys {
      id
      name
      prefix
      lastFour
      allowedIps
      expiresAt
      revokedAt
      lastUsedAt
      createdAt
      scopes {
        resource
        access
      }
    }
  }
`)
type Key = ResultOf<typeof KEYS>['apiKeys'][number]
type Doing =
  { what: 'edit' | 'rotate' | 'revoke'; key: Key } | { what: 'show'; name: string; text: string; until: string | null }

export function ApiKeys() {
  const [filter, setFilter] = useFilters()
  const keys = useReading(KEYS, {}, { types: ['ApiKey'] })
  const [doing, setDoing] = useState<Doing | null>(null)
  const all = keys.data?.apiKeys
  const revoked = filter('revoked') === '1'
  const shown = all?.filter((key) => revoked || !key.revokedAt)
  const close = () => setDoing(null)
  return (
    <Page
      title="API Keys"
      actions={
        <Button kind="primary" onClick={() => setFilter({ make: '1' })}>
          Make a key
        </Button>
      }
    >
      <p className="text-soft max-w-3xl">
        A key is what a program shows with each request. It may do only what its scopes say, from the addresses it is
        allowed, until it expires or is revoked.
      </p>
      {keys.error && <ErrorNote>{keys.error}</ErrorNote>}
      <Toolbar>
        <label className="text-soft col-span-2 flex items-center gap-2">
          <input
            type="checkbox"
            checked={revoked}
            onChange={(event) => setFilter({ revoked: event.target.checked ? '1' : '' })}
          />
          Show revoked keys, too
        </label>
      </Toolbar>
      {!(keys.error && !all) && (
        <Card padded={false}>
          <Table
            label="API keys"
            rows={shown}
            dimmed={(key) => key.revokedAt !== null}
            empty={
              <Empty title="No keys yet" curl={curl('/agents')}>
                Make one, and send it with each request:
              </Empty>
            }
            columns={[
              {
                name: 'Name',
                cell: (key) => (
                  <>
                    <span className="font-medium break-words">{key.name}</span>
                    <code className="text-faint block font-mono text-[0.86em]">
                      {key.prefix}…{key.lastFour}
                    </code>
                    <span className="text-faint block md:hidden">{scopeWords(key.scopes)}</span>
                    {key.lastUsedAt && (
                      <span className="text-faint block sm:hidden">
                        Used <Ago at={key.lastUsedAt} />
                      </span>
                    )}
                  </>
                ),
              },
              {
                name: 'May do',
                cell: (key) => <span className="line-clamp-3">{scopeWords(key.scopes)}</span>,
                from: 'md',
              },
              { name: 'From', cell: (key) => <Addresses of={key.allowedIps} />, from: 'lg' },
              { name: 'Expires', cell: (key) => <Expiry of={key} /> },
              {
                name: 'Last used',
                cell: (key) => (key.lastUsedAt ? <Ago at={key.lastUsedAt} /> : 'Never'),
                from: 'sm',
              },
              {
                name: '',
                right: true,
                cell: (key) =>
                  !key.revokedAt && (
                    <Menu
                      label={`Actions for ${key.name}`}
                      choices={[
                        { label: 'Rename or change …', onSelect: () => setDoing({ what: 'edit', key }) },
                        { label: 'Rotate …', onSelect: () => setDoing({ what: 'rotate', key }) },
                        { label: 'Revoke …', onSelect: () => setDoing({ what: 'revoke', key }), danger: true },
                      ]}
                    />
                  ),
              },
            ]}
          />
        </Card>
      )}
      {filter('make') && (
        <MakeKey
          onClose={() => setFilter({ make: '' })}
          onMade={(name, text) => {
            setFilter({ make: '' })
            setDoing({ what: 'show', name, text, until: null })
          }}
        />
      )}
      {doing?.what === 'edit' && <EditKey key={doing.key.id} of={doing.key} onClose={close} />}
      {doing?.what === 'rotate' && (
        <RotateKey
          of={doing.key}
          onClose={close}
          onRotated={(text, until) => setDoing({ what: 'show', name: doing.key.name, text, until })}
        />
      )}
      {doing?.what === 'revoke' && <RevokeKey of={doing.key} onClose={close} />}
      {doing?.what === 'show' && <KeyShown {...doing} onClose={close} />}
    </Page>
  )
}

function Addresses({ of }: { of: readonly string[] | null }) {
  if (!of) return 'Anywhere'
  return (
    <span title={of.join('\n')}>
      {of[0]}
      {of.length > 1 && <span className="text-faint"> and {of.length - 1} more</span>}
    </span>
  )
}

function Expiry({ of }: { of: Key }) {
  if (of.revokedAt) return <Badge tone="bad">Revoked</Badge>
  if (!of.expiresAt) return 'Never'
  return Date.parse(of.expiresAt) < Date.now() ? <Badge tone="warn">Expired</Badge> : <Ago at={of.expiresAt} />
}
