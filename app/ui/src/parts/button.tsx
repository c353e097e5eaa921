/** Buttons and links that look like them. */
import type { ButtonHTMLAttributes, ComponentProps } from 'react'
import { Link } from 'wouter'

export type Kind = 'primary' | 'plain' | 'ghost' | 'danger'

const LOOK: Record<Kind, string> = {
  primary: 'bg-accent text-on-accent hover:bg-accent-strong',
  plain: 'border border-edge bg-card hover:bg-hover',
  ghost: 'text-soft hover:bg-hover hover:text-ink',
  danger: 'bg-danger-strong text-white hover:brightness-90',
}
const SHAPE =
  'inline-flex h-8 items-center justify-center gap-1.5 rounded-md px-3 font-medium whitespace-nowrap select-none ' +
  'disabled:opacity-50 disabled:cursor-not-allowed'

export function Button({
  kind = 'plain',
  busy = false,
  className = '',
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & { kind?: Kind; busy?: boolean }) {
  return (
    <button
      type="button"
      {...rest}
      disabled={rest.disabled || busy}
      aria-busy={busy}
      className={`${SHAPE} ${LOOK[kind]} ${className}`}
    />
  )
}

export function ButtonLink({
  kind = 'plain',
  href,
  children,
}: {
  kind?: Kind
  href: string
  children: ComponentProps<'a'>['children']
}) {
  return (
    <Link href={href} className={`${SHAPE} ${LOOK[kind]}`}>
      {children}
    </Link>
  )
}
