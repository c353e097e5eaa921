/** Signing in, and choosing a password after having signed in with a one-time one. */
import type { ReactNode } from 'react'
import { useEffect, useState } from 'react'

import type { Session } from '@/api/session'
import { choosePassword, signIn, signOut } from '@/api/session'
import { Button } from '@/parts/button'
import { Input } from '@/parts/field'
import { ErrorNote, Note } from '@/parts/notes'
import { Brand } from '@/shell/shell'

type OnSession = (session: Session | null) => void

export function SignIn({ onSession, ended }: { onSession: OnSession; ended: boolean }) {
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  return (
    <Gate title="Sign in" submit="Sign in" act={() => signIn(email, password).then(onSession)}>
      {ended && <Note>Your session has ended. Sign in again to go on where you were.</Note>}
      <Input
        label="E-mail address"
        type="email"
        autoComplete="username"
        required
        autoFocus
        value={email}
        onChange={(event) => setEmail(event.target.value)}
      />
      <Input
        label="Password"
        type="password"
        autoComplete="current-password"
        required
        value={password}
        onChange={(event) => setPassword(event.target.value)}
        hint="The first start prints both; voxforge users reset-password makes another."
      />
    </Gate>
  )
}

export function ChooseFirstPassword({ session, onSession }: { session: Session; onSession: OnSession }) {
  const [current, setCurrent] = useState('')
  const [next, setNext] = useState('')
  return (
    <Gate
      title="Choose a password"
      submit="Go on with this password"
      act={() => choosePassword(current, next).then(onSession)}
      beside={
        <Button kind="ghost" onClick={() => void signOut().then(() => onSession(null))}>
          Sign out
        </Button>
      }
    >
      <Note>You are signed in with a one-time password. Choose one of your own to go on.</Note>
      <input type="hidden" autoComplete="username" value={session.user.email} />
      <Input
        label="One-time password"
        type="password"
        autoComplete="current-password"
        required
        autoFocus
        value={current}
        onChange={(event) => setCurrent(event.target.value)}
      />
      <Input
        label="New password"
        type="password"
        autoComplete="new-password"
        required
        minLength={12}
        maxLength={200}
        value={next}
        onChange={(event) => setNext(event.target.value)}
        hint="12 characters or more; a few words that only you would put together."
      />
    </Gate>
  )
}

interface GateProps {
  title: string
  submit: string
  act: () => Promise<void>
  beside?: ReactNode
  children: ReactNode
}

function Gate({ title, submit, act, beside, children }: GateProps) {
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState('')
  useEffect(() => {
    document.title = `${title} · VoxForge`
  }, [title])
  return (
    <main className="grid min-h-dvh content-start justify-items-center px-4 pt-[12vh] pb-8">
      <div className="mb-6">
        <Brand />
      </div>
      <form
        className="bg-card border-line grid w-full max-w-sm gap-4 rounded-xl border p-6 shadow-sm"
        onSubmit={(event) => {
          event.preventDefault()
          setBusy(true)
          setError('')
          act().catch((refusal: Error) => {
            setError(refusal.message)
            setBusy(false)
          })
        }}
      >
        <h1 className="text-[1.3rem] font-semibold tracking-tight">{title}</h1>
        {children}
        {error && <ErrorNote>{error}</ErrorNote>}
        <div className="flex gap-2">
          <Button type="submit" kind="primary" busy={busy} className="flex-1">
            {busy ? 'One moment …' : submit}
          </Button>
          {beside}
        </div>
      </form>
    </main>
  )
}
