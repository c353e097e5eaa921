/** What is said about a page rather than on it: errors, nothing here yet, loading. */
import type { ReactNode } from 'react'

import { Copy } from './copy'
import { Icon } from './icon'

/** The one way in which an error is shown: its sentence. */
export function ErrorNote({ children }: { children: ReactNode }) {
  return (
    <p role="alert" className="bg-danger-wash text-danger flex items-start gap-2 rounded-md px-3 py-2">
      <Icon name="warning" className="mt-0.5 shrink-0" />
      <span className="min-w-0 break-words">{children}</span>
    </p>
  )
}

export function Note({ children, tone = 'info' }: { children: ReactNode; tone?: 'info' | 'warn' }) {
  const look = tone === 'warn' ? 'bg-warn-wash text-warn' : 'bg-info-wash text-info'
  return <p className={`${look} rounded-md px-3 py-2`}>{children}</p>
}

/** An empty list: what would be here, what to do, and the request that does the same as this page. */
export function Empty({ title, children, curl }: { title: string; children?: ReactNode; curl?: string }) {
  return (
    <div className="mx-auto grid max-w-2xl grid-cols-[minmax(0,1fr)] justify-items-center gap-2 px-4 py-10 text-center">
      <h2 className="font-semibold">{title}</h2>
      {children && <div className="text-soft">{children}</div>}
      {curl && <Command text={curl} />}
    </div>
  )
}

/** A line for a shell, with a button that copies it. */
export function Command({ text }: { text: string }) {
  return (
    <div className="bg-sunken border-line mt-2 flex w-full max-w-full items-start gap-2 rounded-md border py-1 pr-1 pl-3 text-left">
      <pre tabIndex={0} className="min-w-0 flex-1 overflow-x-auto py-1 font-mono text-[0.86rem] leading-5">
        {text}
      </pre>
      <Copy text={text} />
    </div>
  )
}

/** Takes the room of what is loading, so that nothing jumps when it is there. */
export function Loading({ rows = 6 }: { rows?: number }) {
  return (
    <div role="status" aria-label="Loading" className="grid gap-2 p-4">
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="bg-sunken pulse h-6 rounded" />
      ))}
    </div>
  )
}

/** The request of this page: `GET` of a path, or what follows it. */
export function curl(path: string, rest = ''): string {
  return `curl -sS ${location.origin}/api/v1${path} -H "Authorization: Bearer $KEY"${rest}`
}

/** The same for a request with a body. */
export function curlJson(path: string, body: object, method = ''): string {
  return curl(
    path,
    ` \\\n  ${method && `-X ${method} `}-H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`,
  )
}
