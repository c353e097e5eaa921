/** Reading and changing from a page: what to show while it loads, keeps up to date, or fails. */
import type { TypedDocumentNode } from '@urql/core'
import { useCallback, useEffect, useMemo, useState } from 'react'
import type { AnyVariables, UseQueryArgs } from 'urql'
import { useMutation, useQuery } from 'urql'

import { sentence } from './errors'

interface Options {
  /** Ask again every so many milliseconds while the page is visible; 0: only when something here changes it. */
  every?: number
  /** Types whose changes concern this query even when its answer holds none of them: an empty list. */
  types?: string[]
  pause?: boolean
}

export interface Reading<Data> {
  data: Data | undefined
  /** Why the latest attempt failed; `data` may be what was there before. */
  error: string | undefined
  reload: () => void
}

/** A query that stays on the screen while it is asked again. */
export function useReading<Data, Variables extends AnyVariables>(
  query: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  { every = 0, types = [], pause = false }: Options = {},
): Reading<Data> {
  const key = types.join()
  const context = useMemo(() => ({ additionalTypenames: key ? key.split(',') : [] }), [key])
  const [result, execute] = useQuery({ query, variables, pause, context } as UseQueryArgs<Variables, Data>)
  const reload = useCallback(() => execute({ requestPolicy: 'network-only', ...context }), [execute, context])
  useEffect(() => {
    if (!every || pause) return
    const timer = setInterval(() => {
      if (!document.hidden) reload()
    }, every)
    return () => clearInterval(timer)
  }, [every, pause, reload])
  return { data: result.data, error: result.error && sentence(result.error), reload }
}

export interface Action<Data, Variables> {
  /** Resolves with the answer; with null when it was refused, and `error` says why. */
  run: (variables: Variables) => Promise<Data | null>
  busy: boolean
  error: string | undefined
  clear: () => void
}

/** A mutation, its state and its error in words. */
export function useAction<Data, Variables extends AnyVariables>(
  mutation: TypedDocumentNode<Data, Variables>,
): Action<Data, Variables> {
  const [, execute] = useMutation(mutation)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string>()
  const run = useCallback(
    async (variables: Variables) => {
      setBusy(true)
      setError(undefined)
      const result = await execute(variables)
      setBusy(false)
      if (result.error) {
        setError(sentence(result.error))
        return null
      }
      return result.data ?? null
    },
    [execute],
  )
  return { run, busy, error, clear: useCallback(() => setError(undefined), []) }
}
