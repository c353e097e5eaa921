/** Ctrl-K: type a few letters, press Enter, be there. */
import { Dialog } from '@base-ui/react/dialog'
import type { KeyboardEvent } from 'react'
import { useEffect, useMemo, useState } from 'react'
import { useLocation } from 'wouter'

import { Icon } from '@/parts/icon'

import type { Place } from './places'
import { PLACES } from './places'
import { useSession } from './session'

const ACTIONS: Place[] = [
  { href: '/calls?place=1', label: 'Place a call', icon: 'plus', words: 'new dial' },
  { href: '/agents/new', label: 'Make an agent', icon: 'plus', words: 'new create' },
  { href: '/campaigns/new', label: 'Make a campaign', icon: 'plus', words: 'new create' },
  { href: '/settings/api-keys?make=1', label: 'Make an API key', icon: 'plus', words: 'new create', ownersOnly: true },
  { href: '/integrations/webhooks?add=1', label: 'Add a webhook endpoint', icon: 'plus', words: 'new create' },
]

/** The places that every word of the text is in, by label, group or other words. */
export function find(text: string, places: Place[]): Place[] {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean)
  return places.filter((place) => {
    const known = `${place.label} ${place.href} ${place.words ?? ''}`.toLowerCase()
    return wanted.every((word) => known.includes(word))
  })
}

export function Palette({ open, onClose }: { open: boolean; onClose: () => void }) {
  const [, navigate] = useLocation()
  const { session } = useSession()
  const [text, setText] = useState('')
  const [at, setAt] = useState(0)
  const owner = session.user.role === 'owner'
  const found = useMemo(() => {
    const all = [...PLACES.flatMap(({ places }) => places), ...ACTIONS]
    return find(
      text,
      all.filter((place) => owner || !place.ownersOnly),
    )
  }, [text, owner])

  useEffect(() => {
    if (open) {
      setText('')
      setAt(0)
    }
  }, [open])

  function go(place: Place | undefined) {
    if (!place) return
    onClose()
    navigate(place.href)
  }

  function onKey(event: KeyboardEvent) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step) {
      event.preventDefault()
      setAt((before) => (before + step + found.length) % Math.max(found.length, 1))
    } else if (event.key === 'Enter') {
      event.preventDefault()
      go(found[at])
    }
  }

  return (
    <Dialog.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-40 bg-black/40" />
        <Dialog.Popup className="bg-card border-line fixed inset-x-2 top-[10vh] z-50 mx-auto max-w-lg overflow-hidden rounded-xl border shadow-2xl">
          <Dialog.Title className="sr-only">Go to a page</Dialog.Title>
          <div className="border-line text-soft flex items-center gap-2 border-b px-4">
            <Icon name="search" />
            <input
              role="combobox"
              aria-label="Page"
              aria-expanded
              aria-controls="palette"
              aria-activedescendant={found[at] && `palette-${at}`}
              autoFocus
              placeholder="Go to a page, or make something"
              className="text-ink h-11 w-full bg-transparent outline-none"
              value={text}
              onChange={(event) => {
                setText(event.target.value)
                setAt(0)
              }}
              onKeyDown={onKey}
            />
          </div>
          <ul id="palette" role="listbox" aria-label="Pages" className="max-h-[50vh] overflow-y-auto p-1.5">
            {found.map((place, position) => (
              <li
                key={place.href}
                id={`palette-${position}`}
                role="option"
                aria-selected={position === at}
                className="aria-selected:bg-accent-wash aria-selected:text-accent flex h-9 cursor-pointer items-center gap-2.5 rounded-md px-2.5"
                onMouseMove={() => setAt(position)}
                onClick={() => go(place)}
              >
                <Icon name={place.icon} />
                {place.label}
              </li>
            ))}
            {!found.length && <li className="text-faint px-2.5 py-2">Nothing here is called that.</li>}
          </ul>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  )
}
