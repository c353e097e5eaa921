import { afterEach, expect, test, vi } from 'vitest'

import { fetchInOneForm } from './client'

afterEach(() => vi.unstubAllGlobals())

function answering(body: unknown, status: number) {
  vi.stubGlobal('fetch', () => Promise.resolve(Response.json(body, { status })))
}

test('what GraphQL answers stays as it is', async () => {
  answering({ data: { viewer: null } }, 200)

  const response = await fetchInOneForm('/graphql')

  expect(await response.json()).toEqual({ data: { viewer: null } })
})

test('a refusal before GraphQL becomes a GraphQL error with its sentence and code', async () => {
  answering({ error: { code: 'RATE_LIMITED', message: 'Wait a minute' } }, 429)

  const response = await fetchInOneForm('/graphql')

  expect(response.status).toBe(200)
  expect(await response.json()).toEqual({
    data: null,
    errors: [{ message: 'Wait a minute', extensions: { code: 'RATE_LIMITED' } }],
  })
})

test('an answer of somebody else, a proxy say, stays as it is', async () => {
  answering('bad gateway', 502)

  const response = await fetchInOneForm('/graphql')

  expect(response.status).toBe(502)
})
