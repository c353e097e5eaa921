import { expect, test } from 'vitest'

import { find } from './palette'
import { PLACES, placeOf } from './places'

const places = PLACES.flatMap((group) => group.places)
const found = (text: string) => find(text, places).map(({ label }) => label)

test.each([
  ['api', ['API Keys']],
  ['  WEB log ', ['Logs']],
  ['dnc', ['Do-not-call']],
  ['nothing like it', []],
])('%j finds %j', (text, labels) => {
  expect(found(text)).toEqual(labels)
})

test('no letters find everything', () => {
  expect(found('')).toHaveLength(places.length)
})

test.each([
  ['/', 'Overview'],
  ['/calls/c123', 'Calls'],
  ['/integrations/webhooks', 'Webhooks'],
  ['/integrations/webhooks/logs/c1', 'Logs'],
  ['/callsheet', undefined],
])('%s is at %s', (path, label) => {
  expect(placeOf(path, places)?.label).toBe(label)
})
