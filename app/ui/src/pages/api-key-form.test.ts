import { expect, test } from 'vitest'

import { EVERYTHING, NEW_KEY, RESOURCES, inputOf, scopeWords, valuesOf } from './api-key-form'

const all = (access: 'READ' | 'WRITE') => RESOURCES.map((resource) => ({ resource, access }))

test('a new key may do everything but manage keys', () => {
  const input = inputOf({ ...NEW_KEY, name: 'CRM' })

  expect(input).toEqual({
    name: 'CRM',
    scopes: all('WRITE').filter(({ resource }) => resource !== 'API_KEYS'),
    allowedIps: null,
    expiresAt: null,
  })
})

test('addresses may be apart by lines, commas and spaces', () => {
  const input = inputOf({ ...NEW_KEY, addresses: ' 203.0.113.7\n10.0.0.0/8, 2001:db8::/32 ' })

  expect(input.allowedIps).toEqual(['203.0.113.7', '10.0.0.0/8', '2001:db8::/32'])
})

test('a key that is opened and saved stays what it was', () => {
  const key = {
    name: 'CRM',
    scopes: [{ resource: 'CALLS', access: 'READ' } as const],
    allowedIps: ['203.0.113.7'],
    expiresAt: '2030-01-01T00:00:00Z',
  }

  const input = inputOf(valuesOf(key))

  expect(input).toEqual({ ...key, expiresAt: '2030-01-01T00:00:00.000Z' })
})

test.each([
  [[], 'Nothing'],
  [all('WRITE'), 'Everything, keys too'],
  [RESOURCES.map((resource) => ({ resource, access: EVERYTHING[resource] })), 'Everything but keys'],
  [all('READ').slice(0, 2), 'Reads agents and campaigns'],
  [all('WRITE').slice(2, 3), 'Reads and changes calls'],
  [[...all('READ').slice(0, 1), ...all('WRITE').slice(7)], 'Reads agents; reads and changes keys'],
])('scopes in words: %j', (scopes, words) => {
  expect(scopeWords(scopes)).toBe(words)
})
