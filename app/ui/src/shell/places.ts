/** The pages: what the navigation and the palette list. */
import type { IconName } from '@/parts/icon'

export interface Place {
  href: string
  label: string
  icon: IconName
  /** Other words by which the palette finds it. */
  words?: string
  ownersOnly?: boolean
}

export const PLACES: { group: string; places: Place[] }[] = [
  {
    group: '',
    places: [
      { href: '/', label: 'Overview', icon: 'overview', words: 'home start dashboard' },
      { href: '/calls', label: 'Calls', icon: 'calls', words: 'transcript recording' },
      { href: '/campaigns', label: 'Campaigns', icon: 'campaigns', words: 'bulk dialer' },
      { href: '/agents', label: 'Agents', icon: 'agents', words: 'voice prompt' },
      { href: '/appointments', label: 'Appointments', icon: 'appointments', words: 'calendar meetings' },
    ],
  },
  {
    group: 'Directory',
    places: [
      { href: '/contacts', label: 'Contacts', icon: 'contacts', words: 'import csv' },
      { href: '/do-not-call', label: 'Do-not-call', icon: 'blocked', words: 'dnc opt out' },
      { href: '/phone-numbers', label: 'Phone numbers', icon: 'numbers', words: 'caller id' },
    ],
  },
  {
    group: 'Integrations',
    places: [
      { href: '/integrations/webhooks', label: 'Webhooks', icon: 'webhooks', words: 'endpoints events' },
      { href: '/integrations/webhooks/logs', label: 'Logs', icon: 'menu', words: 'webhook deliveries attempts' },
    ],
  },
  {
    group: 'Settings',
    places: [
      { href: '/settings/api-keys', label: 'API Keys', icon: 'key', words: 'token secret', ownersOnly: true },
      { href: '/settings/people', label: 'People', icon: 'people', words: 'users members owners', ownersOnly: true },
      { href: '/settings/account', label: 'Account', icon: 'account', words: 'password session sign out' },
    ],
  },
]

/** The place that an address belongs to: the longest that it begins with. */
export function placeOf(path: string, places: Place[]): Place | undefined {
  return places
    .filter(({ href }) => path === href || (href !== '/' && path.startsWith(`${href}/`)))
    .sort((one, other) => other.href.length - one.href.length)[0]
}
