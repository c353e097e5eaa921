/** The “…” of a row: what can be done with it. */
import { Menu as Base } from '@base-ui/react/menu'
import type { ReactNode } from 'react'

import { Icon } from './icon'

export interface Choice {
  label: string
  onSelect: () => void
  danger?: boolean
}

const POPUP = 'bg-card border-line z-50 min-w-44 rounded-lg border p-1 shadow-lg outline-none'
const ITEM =
  'block w-full cursor-pointer rounded px-2.5 py-1.5 text-left select-none outline-none data-[highlighted]:bg-hover'

export function Menu({ label, choices, trigger }: { label: string; choices: Choice[]; trigger?: ReactNode }) {
  return (
    <Base.Root modal={false}>
      <Base.Trigger
        aria-label={label}
        className={trigger ? '' : 'text-soft hover:bg-hover hover:text-ink rounded-md p-1.5'}
      >
        {trigger ?? <Icon name="more" />}
      </Base.Trigger>
      <Base.Portal>
        <Base.Positioner align="end" sideOffset={4} className="z-50">
          <Base.Popup className={POPUP}>
            {choices.map((choice) => (
              <Base.Item
                key={choice.label}
                onClick={choice.onSelect}
                className={`${ITEM} ${choice.danger ? 'text-danger' : ''}`}
              >
                {choice.label}
              </Base.Item>
            ))}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  )
}
