/** A button that copies a text and says that it did. */
import { useEffect, useState } from 'react'

import { Icon } from './icon'

export function Copy({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), 2_000)
    return () => clearTimeout(timer)
  }, [copied])
  return (
    <button
      type="button"
      className="text-soft hover:bg-hover hover:text-ink inline-flex h-7 shrink-0 items-center gap-1 rounded-md px-2"
      onClick={() => void copy(text).then(setCopied)}
    >
      <Icon name={copied ? 'check' : 'copy'} />
      <span aria-live="polite">{copied ? 'Copied' : label}</span>
    </button>
  )
}

/** Also where there is no clipboard API: a page in plain HTTP that is not on this machine. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = document.createElement('textarea')
    area.value = text
    // inside an open dialog, whose focus trap would take the selection back
    const home = document.activeElement?.parentElement ?? document.body
    home.append(area)
    area.select()
    const done = document.execCommand('copy')
    area.remove()
    return done
  }
}

/** A secret that is shown only now. */
export function Secret({ label, text }: { label: string; text: string }) {
  return (
    <div>
      <p className="mb-1 font-medium">{label}</p>
      <div className="border-accent bg-accent-wash flex items-center gap-2 rounded-md border py-1 pr-1 pl-3">
        <code className="min-w-0 flex-1 font-mono text-[0.93rem] break-all">{text}</code>
        <Copy text={text} />
      </div>
    </div>
  )
}
