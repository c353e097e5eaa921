/** The urql client of a signed-in person: the session's cookie goes along by itself. */
import { cacheExchange, Client, fetchExchange, mapExchange, subscriptionExchange } from 'urql'
import { createClient } from 'graphql-ws'

import { codeOf } from './errors'

const PATH = '/graphql'

/** Makes a client; `onSignedOut` is called when the server no longer knows the session. */
export function makeClient(onSignedOut: () => void): Client {
  const socket = createClient({
    url: `${location.origin.replace(/^http/, 'ws')}${PATH}`,
    lazyCloseTimeout: 5_000,
    retryAttempts: 20,
    shouldRetry: () => true,
  })
  return new Client({
    url: PATH,
    preferGetMethod: false,
    requestPolicy: 'cache-and-network',
    fetch: fetchInOneForm,
    exchanges: [
      mapExchange({
        onError(error) {
          if (codeOf(error) === 'UNAUTHORIZED') onSignedOut()
        },
      }),
      cacheExchange,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe({ query: query ?? '', variables: variables ?? null }, sink as never),
          }),
        }),
      }),
    ],
  })
}

/**
 * What is refused before GraphQL (no session, too many requests) comes as `{"error": {code, message}}` with its status;
 * this makes it the GraphQL error that it would have been, so that there is one kind of error for the pages.
 */
export async function fetchInOneForm(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const response = await fetch(input, init)
  if (response.ok) return response
  const body = (await response.json().catch(() => null)) as { error?: { code: string; message: string } } | null
  if (!body?.error) return response
  const { code, message } = body.error
  return Response.json({ data: null, errors: [{ message, extensions: { code } }] })
}
