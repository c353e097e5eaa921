/** Settings → Account: who is signed in and where, and another password. */
import { useState } from 'react'

import { graphql } from '@/api/graphql'
import { useAction, useReading } from '@/api/hooks'
import { choosePassword } from '@/api/session'
import { Badge } from '@/parts/badge'
import { Button } from '@/parts/button'
import { Input } from '@/parts/field'
import { ErrorNote, Note } from '@/parts/notes'
import { Card, Fact, Facts, Page } from '@/parts/page'
import { Table } from '@/parts/table'
import { Ago } from '@/parts/time'
import { useSession } from '@/shell/session'
import { plain } from '@/words/states'

const SESSIONS = graphql(`
  query Sessions {
    sessions {
      id
      lastUsedAt
      createdAt
      address
      userAgent
      current
    }
  }
`)
const END = graphql(`
  mutation EndSession($id: ID!) {
    endSession(id: $id)
  }
`)

export function Account() {
  const { session } = useSession()
  const sessions = useReading(SESSIONS, {})
  const end = useAction(END)
  return (
    <Page title="Account">
      <Card title="You">
        <Facts>
          <Fact name="E-mail address">{session.user.email}</Fact>
          <Fact name="Role">
            {session.user.role === 'owner'
              ? 'Owner: may do everything'
              : 'Member: all but keys, people and the audit log'}
          </Fact>
          <Fact name="Workspace">{session.workspace.name}</Fact>
          <Fact name="Plan">{plain(session.workspace.plan)}</Fact>
          <Fact name="Workspace id">
            <code className="font-mono text-[0.93em]">{session.workspace.id}</code>
          </Fact>
        </Facts>
      </Card>
      <Password />
      {(sessions.error ?? end.error) && <ErrorNote>{sessions.error ?? end.error}</ErrorNote>}
      <Card title="Where you are signed in" padded={false}>
        <Table
          label="Sessions"
          rows={sessions.data?.sessions}
          empty={null}
          columns={[
            {
              name: 'Browser',
              cell: (row) => (
                <span className="inline-flex flex-wrap items-center gap-2">
                  {browserOf(row.userAgent)} {row.current && <Badge tone="good">This one</Badge>}
                </span>
              ),
            },
            { name: 'Address', cell: (row) => row.address ?? '–', from: 'sm' },
            { name: 'Last used', cell: (row) => <Ago at={row.lastUsedAt} /> },
            {
              name: '',
              right: true,
              cell: (row) =>
                !row.current && (
                  <Button kind="ghost" onClick={() => void end.run({ id: row.id }).then(sessions.reload)}>
                    Sign out
                  </Button>
                ),
            },
          ]}
        />
      </Card>
    </Page>
  )
}

function Password() {
  const { setSession } = useSession()
  const [current, setCurrent] = useState('')
  const [next, setNext] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState('')
  const [done, setDone] = useState(false)
  async function change() {
    setBusy(true)
    setError('')
    setDone(false)
    try {
      setSession(await choosePassword(current, next))
      setCurrent('')
      setNext('')
      setDone(true)
    } catch (refusal) {
      setError((refusal as Error).message)
    } finally {
      setBusy(false)
    }
  }
  return (
    <Card title="Password">
      <form
        className="grid max-w-md gap-4"
        onSubmit={(event) => {
          event.preventDefault()
          void change()
        }}
      >
        <Input
          label="Current password"
          type="password"
          autoComplete="current-password"
          required
          value={current}
          onChange={(event) => setCurrent(event.target.value)}
        />
        <Input
          label="New password"
          type="password"
          autoComplete="new-password"
          required
          value={next}
          onChange={(event) => setNext(event.target.value)}
          hint="12 characters or more. Your other sessions end."
        />
        {error && <ErrorNote>{error}</ErrorNote>}
        {done && <Note>Your password is changed, and your other sessions have ended.</Note>}
        <div>
          <Button type="submit" busy={busy}>
            Change the password
          </Button>
        </div>
      </form>
    </Card>
  )
}

/** `Chrome on Linux`, as far as a User-Agent tells; the browsers that claim to be others come first. */
export function browserOf(agent: string | null): string {
  if (!agent) return 'Unknown'
  const browser = [/Edg/, /OPR/, /Firefox/, /Chrome/, /Safari/].find((name) => name.test(agent))?.source
  const system = [/Android/, /iPhone|iPad/, /Windows/, /Mac OS/, /Linux/].find((name) => name.test(agent))
  const names: Record<string, string> = { Edg: 'Edge', OPR: 'Opera' }
  const systems: Record<string, string> = { 'iPhone|iPad': 'iOS', 'Mac OS': 'macOS' }
  if (!browser) return agent.slice(0, 60)
  return `${names[browser] ?? browser}${system ? ` on ${systems[system.source] ?? system.source}` : ''}`
}
