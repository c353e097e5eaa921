/** Lists as tables; columns that a narrow screen can do without are left out there. */
import type { ReactNode } from 'react'
import { Link, useLocation } from 'wouter'

import { Button } from './button'
import { Icon } from './icon'
import { Loading } from './notes'

export interface Column<Row> {
  name: string
  cell: (row: Row) => ReactNode
  /** Shown from this width on. */
  from?: 'sm' | 'md' | 'lg'
  right?: boolean
}

const FROM = { sm: 'hidden sm:table-cell', md: 'hidden md:table-cell', lg: 'hidden lg:table-cell' }

interface Props<Row> {
  label: string
  rows: readonly Row[] | undefined
  columns: Column<Row>[]
  /** Where a row leads; the first cell becomes the link, and the whole row takes clicks. */
  href?: (row: Row) => string
  empty: ReactNode
  dimmed?: (row: Row) => boolean
}

export function Table<Row extends { id: string }>({ label, rows, columns, href, empty, dimmed }: Props<Row>) {
  const [, navigate] = useLocation()
  if (!rows) return <Loading />
  if (!rows.length) return empty
  const look = (column: Column<Row>) => `${column.from ? FROM[column.from] : ''} ${column.right ? 'text-right' : ''}`
  return (
    <table aria-label={label} className="w-full border-collapse">
      <thead>
        <tr className="border-line text-faint border-b text-left text-[0.93em]">
          {columns.map((column) => (
            <th key={column.name} scope="col" className={`px-2 py-2 font-medium first:pl-4 last:pr-4 ${look(column)}`}>
              {column.name || <span className="sr-only">Actions</span>}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr
            key={row.id}
            className={`border-line border-b last:border-0 ${href ? 'hover:bg-hover cursor-pointer' : ''} ${dimmed?.(row) ? 'text-faint' : ''}`}
            onClick={(event) => {
              const target = event.target as HTMLElement
              if (href && !target.closest('a, button, [role=menu]') && !getSelection()?.toString()) navigate(href(row))
            }}
          >
            {columns.map((column, position) => (
              <td key={column.name} className={`px-2 py-2 align-top first:pl-4 last:pr-4 ${look(column)}`}>
                {href && position === 0 ? (
                  <Link href={href(row)} className="font-medium hover:underline">
                    {column.cell(row)}
                  </Link>
                ) : (
                  column.cell(row)
                )}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

interface PagingProps {
  total: number | undefined
  limit: number
  offset: number
  onMove: (offset: number) => void
}

/** `1–50 of 212`, and the pages before and after. */
export function Paging({ total, limit, offset, onMove }: PagingProps) {
  if (total === undefined || (total <= limit && !offset)) return null
  return (
    <nav aria-label="Pages" className="text-soft flex items-center justify-end gap-2">
      <span>
        {total ? `${offset + 1}–${Math.min(offset + limit, total)} of ${total.toLocaleString('en')}` : 'None'}
      </span>
      <Button aria-label="Newer" disabled={!offset} onClick={() => onMove(Math.max(0, offset - limit))}>
        <Icon name="left" />
      </Button>
      <Button aria-label="Older" disabled={offset + limit >= total} onClick={() => onMove(offset + limit)}>
        <Icon name="right" />
      </Button>
    </nav>
  )
}
