/** How long what was rotated stays good. */
import { Select } from './field'

const OVERLAPS = [
  [86_400, 'One day'],
  [7_200, 'Two hours'],
  [600, 'Ten minutes'],
  [0, 'Not at all: it ends now'],
] as const

/** A choice of seconds. */
export function Overlap({
  label,
  value,
  onChange,
}: {
  label: string
  value: number
  onChange: (seconds: number) => void
}) {
  return (
    <Select label={label} value={value} onChange={(event) => onChange(Number(event.target.value))}>
      {OVERLAPS.map(([seconds, words]) => (
        <option key={seconds} value={seconds}>
          {words}
        </option>
      ))}
    </Select>
  )
}
