/** The frame of the signed-in pages: navigation, palette, and what is open. */
import type { ReactNode } from 'react'
import { useEffect, useRef, useState } from 'react'
import { Link, useLocation } from 'wouter'

import { signOut } from '@/api/session'
import { Icon } from '@/parts/icon'

import { Palette } from './palette'
import { PLACES, placeOf } from './places'
import { useSession } from './session'
import type { Theme } from './theme'
import { setTheme, theme } from './theme'

export function Shell({ children }: { children: ReactNode }) {
  const [open, setOpen] = useState(false)
  const [searching, setSearching] = useState(false)
  const [path] = useLocation()
  const main = useRef<HTMLElement>(null)
  const first = useRef(true)

  useEffect(() => {
    setOpen(false)
    window.scrollTo(0, 0)
    if (!first.current) main.current?.focus({ preventScroll: true }) // so that the next Tab is on the new page
    first.current = false
  }, [path])

  useEffect(() => {
    function onKey(event: KeyboardEvent) {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault()
        setSearching((before) => !before)
      }
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])

  return (
    <div className="min-h-dvh md:grid md:grid-cols-[13.5rem_minmax(0,1fr)]">
      <a
        href="#main"
        className="bg-card sr-only z-50 rounded-md p-2 focus:not-sr-only focus:absolute focus:top-2 focus:left-2"
      >
        Skip to the page
      </a>
      <header className="bg-card border-line sticky top-0 z-30 flex h-12 items-center gap-2 border-b px-3 md:hidden">
        <button
          type="button"
          aria-label="Menu"
          aria-expanded={open}
          aria-controls="navigation"
          className="hover:bg-hover rounded-md p-2"
          onClick={() => setOpen(!open)}
        >
          <Icon name={open ? 'close' : 'menu'} />
        </button>
        <Brand />
        <button
          type="button"
          aria-label="Go to"
          className="hover:bg-hover ml-auto rounded-md p-2"
          onClick={() => setSearching(true)}
        >
          <Icon name="search" />
        </button>
      </header>
      <div
        id="navigation"
        className={`bg-card border-line z-20 border-r md:sticky md:top-0 md:flex md:h-dvh ${open ? 'fixed inset-x-0 top-12 bottom-0 flex' : 'hidden'} flex-col overflow-y-auto`}
      >
        <div className="hidden px-4 pt-4 pb-3 md:block">
          <Brand />
        </div>
        <button
          type="button"
          className="border-edge text-faint hover:bg-hover mx-3 mb-2 hidden h-8 items-center gap-2 rounded-md border px-2.5 md:flex"
          onClick={() => setSearching(true)}
        >
          <Icon name="search" />
          Go to…
          <kbd className="ml-auto font-sans text-[0.86em]">Ctrl K</kbd>
        </button>
        <Navigation path={path} />
        <Foot />
      </div>
      <main id="main" ref={main} tabIndex={-1} className="min-w-0">
        {children}
      </main>
      <Palette open={searching} onClose={() => setSearching(false)} />
    </div>
  )
}

export function Brand() {
  return (
    <span className="inline-flex items-center gap-2 text-[1.07rem] font-semibold tracking-tight">
      <svg aria-hidden viewBox="0 0 32 32" className="size-5">
        <rect width="32" height="32" rx="8" className="fill-accent" />
        <path
          d="M6 13v6M11 9v14M16 12v8M21 7v18M26 13v6"
          className="stroke-on-accent"
          strokeWidth="2.5"
          strokeLinecap="round"
        />
      </svg>
      VoxForge
    </span>
  )
}

function Navigation({ path }: { path: string }) {
  const { session } = useSession()
  const groups = PLACES.map(({ group, places }) => ({
    group,
    places: places.filter((place) => !place.ownersOnly || session.user.role === 'owner'),
  }))
  const here = placeOf(
    path,
    groups.flatMap(({ places }) => places),
  )
  return (
    <nav aria-label="Pages" className="flex-1 px-3 py-2 md:py-0">
      {groups.map(({ group, places }) => (
        <div key={group} className="mb-3">
          {group && <h2 className="text-faint px-2 pt-1 pb-1 text-[0.86em] font-medium">{group}</h2>}
          <ul className="grid gap-px">
            {places.map((place) => (
              <li key={place.href}>
                <Link
                  href={place.href}
                  aria-current={place === here ? 'page' : undefined}
                  className="text-soft hover:bg-hover hover:text-ink aria-[current=page]:bg-accent-wash aria-[current=page]:text-accent flex h-9 items-center gap-2.5 rounded-md px-2 aria-[current=page]:font-medium md:h-8"
                >
                  <Icon name={place.icon} />
                  {place.label}
                </Link>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </nav>
  )
}

function Foot() {
  const { session, setSession } = useSession()
  const leave = () => setSession(null)
  return (
    <div className="border-line grid gap-2 border-t p-3">
      <div className="min-w-0 px-2">
        <p className="truncate font-medium">{session.workspace.name}</p>
        <p className="text-faint truncate" title={session.user.email}>
          {session.user.email}
        </p>
      </div>
      <div className="flex items-center justify-between">
        <ThemeSwitch />
        <button
          type="button"
          aria-label="Sign out"
          title="Sign out"
          className="text-soft hover:bg-hover hover:text-ink rounded-md p-2"
          onClick={() => void signOut().then(leave, () => location.reload())} // which says what is wrong
        >
          <Icon name="out" />
        </button>
      </div>
    </div>
  )
}

const THEMES: { theme: Theme; label: string; icon: 'sun' | 'moon' | 'system' }[] = [
  { theme: 'light', label: 'Light', icon: 'sun' },
  { theme: 'dark', label: 'Dark', icon: 'moon' },
  { theme: 'system', label: 'As the system', icon: 'system' },
]

export function ThemeSwitch() {
  const [chosen, choose] = useState(theme)
  return (
    <div role="radiogroup" aria-label="Appearance" className="bg-sunken flex rounded-md p-0.5">
      {THEMES.map(({ theme, label, icon }) => (
        <label
          key={theme}
          title={label}
          className="text-faint has-checked:bg-card has-checked:text-ink has-focus-visible:outline-accent rounded p-1.5 has-checked:shadow-xs has-focus-visible:outline-2"
        >
          <input
            type="radio"
            name="theme"
            aria-label={label}
            className="sr-only"
            checked={chosen === theme}
            onChange={() => {
              setTheme(theme)
              choose(theme)
            }}
          />
          <Icon name={icon} />
        </label>
      ))}
    </div>
  )
}
