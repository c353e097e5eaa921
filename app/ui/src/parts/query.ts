/** Filters that live in the address, so that a list as it is can be linked to. */
import { useSearchParams } from 'wouter'

/** Dialogs that are open when the address says so; they leave the list behind them as it is. */
const DIALOGS = ['add', 'make', 'place']

export type Filters = Record<string, string>

/** The filters, and a function that sets some of them ('' takes one away) and goes back to the first page. */
export function useFilters(): [filters: (name: string) => string, set: (changes: Filters) => void] {
  const [search, setSearch] = useSearchParams()
  function set(changes: Filters) {
    setSearch(
      (before) => {
        const next = new URLSearchParams(before)
        if (!('offset' in changes) && !DIALOGS.some((name) => name in changes)) next.delete('offset')
        for (const [name, value] of Object.entries(changes)) {
          if (value && value !== '0') next.set(name, value)
          else next.delete(name)
        }
        return next
      },
      { replace: true },
    )
  }
  return [(name) => search.get(name) ?? '', set]
}
