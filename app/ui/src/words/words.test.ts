import { readFileSync } from 'node:fs'

import { buildSchema, isEnumType } from 'graphql'
import { expect, test } from 'vitest'

import { endReason, errorClass, plain, waitReason } from './states'
import { boundOfDay, clock, forInput, fromNow, length } from './time'

const NOW = Date.parse('2025-01-15T12:00:00Z')

test.each([
  ['2025-01-15T11:59:30Z', 'just now'],
  ['2025-01-15T12:00:12Z', 'in 12 sec.'],
  ['2025-01-15T11:57:00Z', '3 min. ago'],
  ['2025-01-15T14:00:00Z', 'in 2 hr.'],
  ['2025-01-14T12:00:00Z', 'yesterday'],
  ['2024-01-10T12:00:00Z', 'last yr.'],
])('%s is %s', (instant, words) => {
  expect(fromNow(instant, NOW)).toBe(words)
})

test.each([
  [0, '0:00'],
  [41.9, '0:41'],
  [3_723, '1:02:03'],
  [-1, '0:00'],
])('%s seconds are %s on a clock', (seconds, words) => {
  expect(clock(seconds)).toBe(words)
})

test.each([
  [45, '45 s'],
  [720, '12 min'],
  [7_200, '2 h'],
  [12_000, '3 h 20 min'],
])('%s seconds are as long as %s', (seconds, words) => {
  expect(length(seconds)).toBe(words)
})

test('a day begins and ends by the clock of the browser', () => {
  expect(boundOfDay('2025-01-15', false)).toBe(new Date(2025, 0, 15).toISOString())
  expect(boundOfDay('2025-01-15', true)).toBe(new Date(2025, 0, 15, 23, 59, 59).toISOString())
  expect(boundOfDay('', true)).toBeNull()
  expect(boundOfDay('2025-99-99', true)).toBeNull()
})

test('an instant survives the field it is shown in', () => {
  const instant = new Date(2025, 5, 15, 9, 30)

  expect(new Date(forInput(instant)).getTime()).toBe(instant.getTime())
})

test.each([
  ['EndReason', endReason],
  ['WaitReason', waitReason],
  ['DeliveryErrorClass', errorClass],
] as const)('every %s has a sentence of its own', (name, words) => {
  const type = buildSchema(readFileSync('../../schema/schema.graphql', 'utf8')).getType(name)
  const values = isEnumType(type) ? type.getValues().map((value) => value.name) : []

  expect(values.length).toBeGreaterThan(0)
  expect(values.filter((value) => words(value) === plain(value))).toEqual([])
})
