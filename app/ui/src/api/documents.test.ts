import { readFileSync } from 'node:fs'

import { Kind, Lexer, Source, TokenKind, buildSchema, parse, validate } from 'graphql'
import { expect, test } from 'vitest'

const MAX_TOKENS = 500 // of a document, as schema/graph/documents.py has it

const schema = buildSchema(readFileSync('../../schema/schema.graphql', 'utf8'))
const sources = import.meta.glob<string>('../**/*.tsx', { query: '?raw', import: 'default', eager: true })
const documents = Object.values(sources).flatMap((source) =>
  [...source.matchAll(/graphql\(`([^`]*)`\)/g)].map((match) => parse(match[1] ?? '')),
)
const named = documents.map((document) => {
  const [operation] = document.definitions
  const name = operation?.kind === Kind.OPERATION_DEFINITION ? operation.name?.value : undefined
  return [name ?? 'without a name', document] as const
})

test('there are documents, each with a name of its own', () => {
  const names = named.map(([name]) => name)

  expect(names.length).toBeGreaterThan(30)
  expect(new Set(names).size).toBe(names.length)
  expect(names).not.toContain('without a name')
})

test.each(named)('%s fits the schema', (_name, document) => {
  expect(validate(schema, document).map(({ message }) => message)).toEqual([])
})

test.each(named)('%s is short enough for the server', (_name, document) => {
  const lexer = new Lexer(new Source(document.loc?.source.body ?? ''))
  let tokens = 0
  while (lexer.advance().kind !== TokenKind.EOF) tokens += 1

  expect(tokens).toBeLessThanOrEqual(MAX_TOKENS)
})
