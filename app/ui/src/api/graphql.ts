/** `graphql(…)`: documents whose types are those of schema/schema.graphql. */
import { initGraphQLTada } from 'gql.tada'

import type { introspection } from './schema'

export const graphql = initGraphQLTada<{
  introspection: introspection
  scalars: {
    AgentTool: string | { name: string; to?: string }
    DateOrDateTime: string
    DateTime: string
    EventType: string
    JSONObject: Record<string, unknown>
  }
}>()

export type { ResultOf, VariablesOf } from 'gql.tada'
