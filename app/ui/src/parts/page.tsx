/** The frame of every page: its name, what can be done here, and cards. */
import type { ReactNode } from 'react'
import { useEffect } from 'react'
import { Link } from 'wouter'

import { Icon } from './icon'

interface Props {
  title: string
  /** Where this page belongs: its list. */
  above?: { href: string; label: string }
  beside?: ReactNode
  actions?: ReactNode
  children: ReactNode
}

export function Page({ title, above, beside, actions, children }: Props) {
  useEffect(() => {
    document.title = `${title} · VoxForge`
  }, [title])
  return (
    <div className="mx-auto grid w-full max-w-6xl grid-cols-[minmax(0,1fr)] gap-4 px-4 py-5 sm:px-6">
      <header className="flex flex-wrap items-end justify-between gap-x-4 gap-y-3">
        <div className="min-w-0">
          {above && (
            <Link href={above.href} className="text-soft hover:text-ink mb-1 inline-flex items-center gap-1">
              <Icon name="left" className="size-3.5" />
              {above.label}
            </Link>
          )}
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <h1 className="text-[1.45rem] leading-8 font-semibold tracking-tight break-words">{title}</h1>
            {beside}
          </div>
        </div>
        {actions && <div className="flex flex-wrap gap-2">{actions}</div>}
      </header>
      {children}
    </div>
  )
}

export function Card({
  title,
  actions,
  children,
  padded = true,
}: {
  title?: string
  actions?: ReactNode
  children: ReactNode
  padded?: boolean
}) {
  return (
    <section className="bg-card border-line min-w-0 overflow-hidden rounded-lg border">
      {title && (
        <div className="border-line flex min-h-11 items-center justify-between gap-3 border-b px-4 py-1.5">
          <h2 className="font-semibold">{title}</h2>
          {actions}
        </div>
      )}
      <div className={padded ? 'p-4' : ''}>{children}</div>
    </section>
  )
}

/** Names and values, one below the other. */
export function Facts({ children }: { children: ReactNode }) {
  return <dl className="grid grid-cols-[max-content_minmax(0,1fr)] gap-x-4 gap-y-2">{children}</dl>
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-soft max-w-32 break-words">{name}</dt>
      <dd className="min-w-0 break-words">{children ?? '–'}</dd>
    </>
  )
}

/** Filters above a list. */
export function Toolbar({ children }: { children: ReactNode }) {
  return <div className="grid grid-cols-2 items-center gap-2 sm:flex sm:flex-wrap">{children}</div>
}
