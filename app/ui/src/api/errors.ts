/** Errors as sentences. The server writes its own for the reader; only what never reached it needs words of ours. */
import type { CombinedError } from 'urql'

export type Code =
  'BAD_REQUEST' | 'UNAUTHORIZED' | 'FORBIDDEN' | 'NOT_FOUND' | 'LIMIT_REACHED' | 'RATE_LIMITED' | 'INTERNAL_ERROR'

export const UNREACHABLE = 'The server does not answer. Check that it runs and that you are connected, then try again.'

/** The sentence of what went wrong, for the person in front of the page. */
export function sentence(error: CombinedError): string {
  return error.graphQLErrors[0]?.message ?? UNREACHABLE
}

export function codeOf(error: CombinedError): Code | undefined {
  return error.graphQLErrors[0]?.extensions?.code as Code | undefined
}
