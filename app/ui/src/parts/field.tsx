/** Labelled inputs. */
import type { InputHTMLAttributes, ReactNode, SelectHTMLAttributes, TextareaHTMLAttributes } from 'react'
import { useId } from 'react'

const BOX =
  'w-full rounded-md border border-edge bg-card px-2.5 text-ink disabled:opacity-60 ' +
  'focus-visible:outline-offset-0 focus-visible:border-accent'

interface Labelled {
  label: string
  /** What one should know before filling it in. */
  hint?: ReactNode
}

function Label({ id, label, hint, children }: Labelled & { id: string; children: ReactNode }) {
  return (
    <div className="grid content-start gap-1">
      <label htmlFor={id} className="font-medium">
        {label}
      </label>
      {children}
      {hint && (
        <p id={`${id}-hint`} className="text-faint text-[0.93em]">
          {hint}
        </p>
      )}
    </div>
  )
}

export function Input({ label, hint, ...rest }: Labelled & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId()
  return (
    <Label id={id} label={label} hint={hint}>
      <input id={id} aria-describedby={hint ? `${id}-hint` : undefined} {...rest} className={`${BOX} h-8`} />
    </Label>
  )
}

export function Textarea({ label, hint, ...rest }: Labelled & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  const id = useId()
  return (
    <Label id={id} label={label} hint={hint}>
      <textarea
        id={id}
        aria-describedby={hint ? `${id}-hint` : undefined}
        rows={3}
        {...rest}
        className={`${BOX} py-1.5`}
      />
    </Label>
  )
}

export function Select({ label, hint, children, ...rest }: Labelled & SelectHTMLAttributes<HTMLSelectElement>) {
  const id = useId()
  return (
    <Label id={id} label={label} hint={hint}>
      <select id={id} aria-describedby={hint ? `${id}-hint` : undefined} {...rest} className={`${BOX} h-8`}>
        {children}
      </select>
    </Label>
  )
}

/** A select without a visible label, for the row of filters above a list. */
export function Filter({ label, children, ...rest }: { label: string } & SelectHTMLAttributes<HTMLSelectElement>) {
  return (
    <select aria-label={label} {...rest} className={`${BOX} h-8 min-w-0 sm:w-auto sm:max-w-72`}>
      {children}
    </select>
  )
}

export function DayFilter({ label, ...rest }: { label: string } & InputHTMLAttributes<HTMLInputElement>) {
  return (
    <label className="text-soft flex min-w-0 items-center gap-1.5">
      {label}
      <input type="date" {...rest} className={`${BOX} h-8 min-w-0 flex-1 sm:flex-none sm:w-auto`} />
    </label>
  )
}

export function Check({ label, hint, ...rest }: Labelled & InputHTMLAttributes<HTMLInputElement>) {
  return (
    <label className="flex items-start gap-2">
      <input type="checkbox" {...rest} className="mt-0.5 size-4 shrink-0" />
      <span>
        {label}
        {hint && <span className="text-faint block text-[0.93em]">{hint}</span>}
      </span>
    </label>
  )
}

/** A group of inputs with one name. */
export function Group({ label, hint, children }: Labelled & { children: ReactNode }) {
  return (
    <fieldset className="grid gap-1.5">
      <legend className="mb-1 font-medium">{label}</legend>
      {children}
      {hint && <p className="text-faint text-[0.93em]">{hint}</p>}
    </fieldset>
  )
}
