/** The form of an agent: what it is told, how it sounds, what it may do. */
import type { ReactNode } from 'react'
import { useState } from 'react'

import { Button } from '@/parts/button'
import { Check, Group, Input, Textarea } from '@/parts/field'
import { ErrorNote } from '@/parts/notes'
import { Card } from '@/parts/page'

type Tool = string | { name: string; to?: string }

export interface Values {
  name: string
  isActive: boolean
  voice: string
  firstMessage: string | null
  systemPrompt: string
  language: string
  maxCallDuration: number
  voicemailMessage: string | null
  tools: Tool[]
}

const TOOLS = [
  ['book_appointment', 'Book appointments'],
  ['do_not_call', 'Put the callee on the do-not-call list'],
  ['end_call', 'End the call'],
] as const

export const NEW_AGENT: Values = {
  name: '',
  isActive: true,
  voice: 'jennifer',
  firstMessage: '',
  systemPrompt: '',
  language: 'en-US',
  maxCallDuration: 600,
  voicemailMessage: '',
  tools: TOOLS.map(([name]) => name),
}

/** What the graph takes; empty texts that may be absent are null. */
export function inputOf(values: Values) {
  const { name, isActive, voice, systemPrompt, language, maxCallDuration, tools } = values
  return {
    name,
    isActive,
    voice,
    systemPrompt,
    language,
    maxCallDuration,
    tools,
    firstMessage: values.firstMessage || null,
    voicemailMessage: values.voicemailMessage || null,
  }
}

interface FormProps {
  values: Values
  submit: string
  onSubmit: (values: Values) => Promise<void>
  busy: boolean
  error: string | undefined
  children?: ReactNode
}

export function AgentForm({ values: given, submit, onSubmit, busy, error, children }: FormProps) {
  const [values, setValues] = useState(given)
  const set = (changes: Partial<Values>) => setValues({ ...values, ...changes })
  const transfer = values.tools.find((tool) => typeof tool === 'object')
  const without = (name: string) =>
    values.tools.filter((tool) => (typeof tool === 'object' ? tool.name : tool) !== name)
  return (
    <form
      className="grid grid-cols-[minmax(0,1fr)] items-start gap-4 lg:grid-cols-[minmax(0,1fr)_20rem]"
      onSubmit={(event) => {
        event.preventDefault()
        void onSubmit(values)
      }}
    >
      <Card title="What it says">
        <div className="grid gap-4">
          <Input
            label="Name"
            required
            maxLength={200}
            value={values.name}
            onChange={(event) => set({ name: event.target.value })}
          />
          <Textarea
            label="What it is told"
            required
            rows={12}
            value={values.systemPrompt}
            onChange={(event) => set({ systemPrompt: event.target.value })}
            hint="The system prompt: who it is, what it wants, what it must not do."
          />
          <Textarea
            label="First message"
            rows={2}
            value={values.firstMessage ?? ''}
            onChange={(event) => set({ firstMessage: event.target.value })}
            hint="What it says when somebody answers."
          />
          <Textarea
            label="Message for voicemail"
            rows={2}
            value={values.voicemailMessage ?? ''}
            onChange={(event) => set({ voicemailMessage: event.target.value })}
            hint="Left when voicemail answers; without one it hangs up."
          />
        </div>
      </Card>
      <div className="grid gap-4">
        <Card title="How it works">
          <div className="grid gap-4">
            <Check
              label="Active"
              hint="While it is off, no call with it is dialed."
              checked={values.isActive}
              onChange={(event) => set({ isActive: event.target.checked })}
            />
            <Input
              label="Voice"
              required
              value={values.voice}
              onChange={(event) => set({ voice: event.target.value })}
            />
            <Input
              label="Language"
              required
              value={values.language}
              onChange={(event) => set({ language: event.target.value })}
            />
            <Input
              label="Longest call, in seconds"
              type="number"
              required
              min={10}
              max={14_400}
              value={values.maxCallDuration}
              onChange={(event) => set({ maxCallDuration: event.target.valueAsNumber || 0 })}
            />
            <Group label="It may">
              {TOOLS.map(([name, label]) => (
                <Check
                  key={name}
                  label={label}
                  checked={values.tools.includes(name)}
                  onChange={(event) => set({ tools: event.target.checked ? [...values.tools, name] : without(name) })}
                />
              ))}
              <Check
                label="Put the callee through to somebody"
                checked={Boolean(transfer)}
                onChange={(event) =>
                  set({
                    tools: event.target.checked ? [...values.tools, { name: 'transfer', to: '' }] : without('transfer'),
                  })
                }
              />
            </Group>
            {transfer && (
              <Input
                label="To this number"
                type="tel"
                required
                value={transfer.to ?? ''}
                onChange={(event) =>
                  set({ tools: [...without('transfer'), { name: 'transfer', to: event.target.value }] })
                }
              />
            )}
          </div>
        </Card>
        {error && <ErrorNote>{error}</ErrorNote>}
        {children}
        <Button type="submit" kind="primary" busy={busy}>
          {submit}
        </Button>
      </div>
    </form>
  )
}
